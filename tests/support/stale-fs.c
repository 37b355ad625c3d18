// A directory as a network file system shows it that has no locks and is in no hurry to look again: flock and fcntl locks
// are refused, there are no unnamed files, and names and attributes are believed for a while. Two mounts of one directory
// then see each other's changes as two hosts would.
//
//   stale-fs DIRECTORY MOUNTPOINT SECONDS      stays in the foreground until it is unmounted
//
// Nodes are inodes (as those of NFS), so a name that another host gave to a new file leads to the old one until the time
// is over.
#define FUSE_USE_VERSION 34
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <fuse_lowlevel.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

struct node {
    struct node *next;
    int fd; // O_PATH: keeps the inode's number from being used again
    dev_t dev;
    ino_t ino;
    uint64_t lookups;
};
static struct node root;
static double believed;

static struct node *node_of(fuse_ino_t ino) { return ino == FUSE_ROOT_ID ? &root : (struct node *)(uintptr_t)ino; }
static int fd_of(fuse_ino_t ino) { return node_of(ino)->fd; }
static const char *path_of(fuse_ino_t ino) {
    static char path[64]; // one thread
    snprintf(path, sizeof path, "/proc/self/fd/%d", fd_of(ino));
    return path;
}
static void answer(fuse_req_t req, int result) { fuse_reply_err(req, result == 0 ? 0 : errno); }

// 0 or an errno.
static int look_up(fuse_ino_t parent, const char *name, struct fuse_entry_param *e) {
    memset(e, 0, sizeof *e);
    e->attr_timeout = e->entry_timeout = believed;
    const int fd = openat(fd_of(parent), name, O_PATH | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0) return errno;
    if (fstatat(fd, "", &e->attr, AT_EMPTY_PATH) != 0) {
        const int why = errno;
        close(fd);
        return why;
    }
    struct node *n = root.next;
    while (n && (n->ino != e->attr.st_ino || n->dev != e->attr.st_dev)) n = n->next;
    if (n) {
        close(fd);
    } else {
        n = calloc(1, sizeof *n);
        if (!n) abort();
        *n = (struct node){root.next, fd, e->attr.st_dev, e->attr.st_ino, 0};
        root.next = n;
    }
    ++n->lookups;
    e->ino = (uintptr_t)n;
    return 0;
}
static void answer_entry(fuse_req_t req, fuse_ino_t parent, const char *name) {
    struct fuse_entry_param e;
    const int why = look_up(parent, name, &e);
    if (why)
        fuse_reply_err(req, why);
    else
        fuse_reply_entry(req, &e);
}

static void s_lookup(fuse_req_t req, fuse_ino_t parent, const char *name) { answer_entry(req, parent, name); }
static void s_forget(fuse_req_t req, fuse_ino_t ino, uint64_t times) {
    struct node *n = node_of(ino);
    if (n != &root && (n->lookups -= times) == 0) {
        struct node *before = &root;
        while (before->next != n) before = before->next;
        before->next = n->next;
        close(n->fd);
        free(n);
    }
    fuse_reply_none(req);
}
static void s_getattr(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi) {
    (void)fi;
    struct stat st;
    if (fstatat(fd_of(ino), "", &st, AT_EMPTY_PATH) != 0)
        fuse_reply_err(req, errno);
    else
        fuse_reply_attr(req, &st, believed);
}
static void s_setattr(fuse_req_t req, fuse_ino_t ino, struct stat *to, int what, struct fuse_file_info *fi) {
    int failed = 0;
    if (what & FUSE_SET_ATTR_MODE) failed |= chmod(path_of(ino), to->st_mode);
    if (what & (FUSE_SET_ATTR_UID | FUSE_SET_ATTR_GID))
        failed |= fchownat(fd_of(ino), "", what & FUSE_SET_ATTR_UID ? to->st_uid : (uid_t)-1,
                           what & FUSE_SET_ATTR_GID ? to->st_gid : (gid_t)-1, AT_EMPTY_PATH);
    if (what & FUSE_SET_ATTR_SIZE) failed |= fi ? ftruncate((int)fi->fh, to->st_size) : truncate(path_of(ino), to->st_size);
    if (what & (FUSE_SET_ATTR_ATIME | FUSE_SET_ATTR_MTIME)) {
        struct timespec times[2] = {{0, UTIME_OMIT}, {0, UTIME_OMIT}};
        if (what & FUSE_SET_ATTR_ATIME_NOW) times[0].tv_nsec = UTIME_NOW;
        else if (what & FUSE_SET_ATTR_ATIME) times[0] = to->st_atim;
        if (what & FUSE_SET_ATTR_MTIME_NOW) times[1].tv_nsec = UTIME_NOW;
        else if (what & FUSE_SET_ATTR_MTIME) times[1] = to->st_mtim;
        failed |= utimensat(AT_FDCWD, path_of(ino), times, 0);
    }
    if (failed)
        fuse_reply_err(req, errno);
    else
        s_getattr(req, ino, fi);
}
static void s_readlink(fuse_req_t req, fuse_ino_t ino) {
    char text[4096];
    const ssize_t n = readlinkat(fd_of(ino), "", text, sizeof text - 1);
    if (n < 0) {
        fuse_reply_err(req, errno);
        return;
    }
    text[n] = '\0';
    fuse_reply_readlink(req, text);
}
static void s_mkdir(fuse_req_t req, fuse_ino_t parent, const char *name, mode_t mode) {
    if (mkdirat(fd_of(parent), name, mode) != 0)
        fuse_reply_err(req, errno);
    else
        answer_entry(req, parent, name);
}
static void s_symlink(fuse_req_t req, const char *target, fuse_ino_t parent, const char *name) {
    if (symlinkat(target, fd_of(parent), name) != 0)
        fuse_reply_err(req, errno);
    else
        answer_entry(req, parent, name);
}
static void s_link(fuse_req_t req, fuse_ino_t ino, fuse_ino_t parent, const char *name) {
    if (linkat(AT_FDCWD, path_of(ino), fd_of(parent), name, AT_SYMLINK_FOLLOW) != 0)
        fuse_reply_err(req, errno);
    else
        answer_entry(req, parent, name);
}
static void s_unlink(fuse_req_t req, fuse_ino_t parent, const char *name) { answer(req, unlinkat(fd_of(parent), name, 0)); }
static void s_rmdir(fuse_req_t req, fuse_ino_t parent, const char *name) { answer(req, unlinkat(fd_of(parent), name, AT_REMOVEDIR)); }
static void s_rename(fuse_req_t req, fuse_ino_t from, const char *name, fuse_ino_t to, const char *new_name, unsigned flags) {
    if (flags) { // no exchange, as NFS
        fuse_reply_err(req, EINVAL);
        return;
    }
    answer(req, renameat(fd_of(from), name, fd_of(to), new_name));
}
static void s_open(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi) {
    const int fd = open(path_of(ino), (fi->flags & ~(O_NOFOLLOW | O_CREAT | O_EXCL)) | O_CLOEXEC);
    if (fd < 0) {
        fuse_reply_err(req, errno);
        return;
    }
    fi->fh = (uint64_t)fd;
    fuse_reply_open(req, fi);
}
static void s_create(fuse_req_t req, fuse_ino_t parent, const char *name, mode_t mode, struct fuse_file_info *fi) {
    struct fuse_entry_param e;
    const int fd = openat(fd_of(parent), name, (fi->flags & ~O_NOFOLLOW) | O_CREAT | O_CLOEXEC, mode);
    const int why = fd < 0 ? errno : look_up(parent, name, &e);
    if (why) {
        if (fd >= 0) close(fd);
        fuse_reply_err(req, why);
        return;
    }
    fi->fh = (uint64_t)fd;
    fuse_reply_create(req, &e, fi);
}
static void s_release(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi) {
    (void)ino;
    close((int)fi->fh);
    fuse_reply_err(req, 0);
}
static void s_read(fuse_req_t req, fuse_ino_t ino, size_t size, off_t offset, struct fuse_file_info *fi) {
    (void)ino;
    struct fuse_bufvec data = FUSE_BUFVEC_INIT(size);
    data.buf[0].flags = FUSE_BUF_IS_FD | FUSE_BUF_FD_SEEK;
    data.buf[0].fd = (int)fi->fh;
    data.buf[0].pos = offset;
    fuse_reply_data(req, &data, 0);
}
static void s_write(fuse_req_t req, fuse_ino_t ino, const char *data, size_t size, off_t offset, struct fuse_file_info *fi) {
    (void)ino;
    const ssize_t n = pwrite((int)fi->fh, data, size, offset);
    if (n < 0)
        fuse_reply_err(req, errno);
    else
        fuse_reply_write(req, (size_t)n);
}
static void s_flush(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi) {
    (void)ino, (void)fi;
    fuse_reply_err(req, 0);
}
static void s_fsync(fuse_req_t req, fuse_ino_t ino, int data_only, struct fuse_file_info *fi) {
    (void)ino, (void)data_only, (void)fi; // the tests pull no plugs
    fuse_reply_err(req, 0);
}
static void s_opendir(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi) {
    const int fd = openat(fd_of(ino), ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *dir = fd < 0 ? NULL : fdopendir(fd);
    if (!dir) {
        fuse_reply_err(req, errno);
        return;
    }
    fi->fh = (uintptr_t)dir;
    fi->cache_readdir = 1; // listings too are believed while the directory seems unchanged
    fi->keep_cache = 1;
    fuse_reply_open(req, fi);
}
static void s_readdir(fuse_req_t req, fuse_ino_t ino, size_t size, off_t offset, struct fuse_file_info *fi) {
    (void)ino;
    DIR *dir = (DIR *)(uintptr_t)fi->fh;
    char *buffer = malloc(size);
    size_t used = 0;
    if (!buffer) abort();
    seekdir(dir, offset);
    for (;;) {
        const long here = telldir(dir);
        const struct dirent *d = readdir(dir);
        if (!d) break;
        const struct stat st = {.st_ino = d->d_ino, .st_mode = (mode_t)d->d_type << 12};
        const size_t n = fuse_add_direntry(req, buffer + used, size - used, d->d_name, &st, telldir(dir));
        if (n > size - used) {
            seekdir(dir, here);
            break;
        }
        used += n;
    }
    fuse_reply_buf(req, buffer, used);
    free(buffer);
}
static void s_releasedir(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi) {
    (void)ino;
    closedir((DIR *)(uintptr_t)fi->fh);
    fuse_reply_err(req, 0);
}
static void s_statfs(fuse_req_t req, fuse_ino_t ino) {
    struct statvfs st;
    if (fstatvfs(fd_of(ino), &st) != 0)
        fuse_reply_err(req, errno);
    else
        fuse_reply_statfs(req, &st);
}
static void s_flock(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi, int op) {
    (void)ino, (void)fi, (void)op;
    fuse_reply_err(req, ENOLCK);
}
static void s_getlk(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi, struct flock *lock) {
    (void)ino, (void)fi, (void)lock;
    fuse_reply_err(req, ENOLCK);
}
static void s_setlk(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi, struct flock *lock, int wait) {
    (void)ino, (void)fi, (void)lock, (void)wait;
    fuse_reply_err(req, ENOLCK);
}
static void s_init(void *data, struct fuse_conn_info *connection) {
    (void)data;
    connection->want |= connection->capable & (FUSE_CAP_FLOCK_LOCKS | FUSE_CAP_POSIX_LOCKS);
    connection->want &= ~(unsigned)FUSE_CAP_AUTO_INVAL_DATA;
}

static const struct fuse_lowlevel_ops operations = {
    .init = s_init, .lookup = s_lookup, .forget = s_forget, .getattr = s_getattr, .setattr = s_setattr, .readlink = s_readlink,
    .mkdir = s_mkdir, .symlink = s_symlink, .link = s_link, .unlink = s_unlink, .rmdir = s_rmdir, .rename = s_rename,
    .open = s_open, .create = s_create, .read = s_read, .write = s_write, .flush = s_flush, .release = s_release,
    .fsync = s_fsync, .opendir = s_opendir, .readdir = s_readdir, .releasedir = s_releasedir, .fsyncdir = s_fsync,
    .statfs = s_statfs, .flock = s_flock, .getlk = s_getlk, .setlk = s_setlk,
};

int main(int argc, char **argv) {
    if (argc != 4) {
        fprintf(stderr, "usage: stale-fs DIRECTORY MOUNTPOINT SECONDS\n");
        return 2;
    }
    umask(0);
    believed = atof(argv[3]);
    root.fd = open(argv[1], O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (root.fd < 0) {
        perror(argv[1]);
        return 1;
    }
    char *options[] = {argv[0], "-o", "fsname=stale-fs,default_permissions,allow_other", NULL};
    struct fuse_args args = FUSE_ARGS_INIT(3, options);
    struct fuse_session *session = fuse_session_new(&args, &operations, sizeof operations, NULL);
    if (!session || fuse_session_mount(session, argv[2]) != 0) return 1;
    const int failed = fuse_session_loop(session);
    fuse_session_unmount(session);
    fuse_session_destroy(session);
    return failed ? 1 : 0;
}
