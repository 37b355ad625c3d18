/* An MPI program that says what its ranks share. Rank 0 prints
 *     N ranks, sum S, memory M, messages X, root R, users U
 * S: of all ranks, by a reduction; M: the same by shared memory of the node; X: megabytes that went around a ring as they
 * were sent; R, U: number of different root file systems and user namespaces of the ranks. With an argument the last rank
 * ends with that status instead. */
#include <mpi.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

static long number_of(const char *path, int device) {
    struct stat s;
    if (stat(path, &s) != 0) return -1;
    return device ? (long)s.st_dev : (long)s.st_ino;
}

static int different(long mine, int ranks) {
    long *all = malloc(sizeof(long) * (size_t)ranks);
    int count = 0;
    MPI_Allgather(&mine, 1, MPI_LONG, all, 1, MPI_LONG, MPI_COMM_WORLD);
    for (int i = 0; i < ranks; ++i) {
        int j = 0;
        while (all[j] != all[i]) ++j;
        count += j == i;
    }
    free(all);
    return count;
}

int main(int argc, char **argv) {
    int rank, ranks, sum = 0, memory = 0;
    MPI_Init(&argc, &argv);
    MPI_Comm_rank(MPI_COMM_WORLD, &rank);
    MPI_Comm_size(MPI_COMM_WORLD, &ranks);
    const char *told = getenv("OMPI_COMM_WORLD_RANK");
    if (ranks > 1 && (!told || atoi(told) != rank)) printf("rank %d was told that it is %s\n", rank, told ? told : "nobody");
    if (argc > 1) {
        MPI_Barrier(MPI_COMM_WORLD);
        MPI_Finalize();
        return rank == ranks - 1 ? atoi(argv[1]) : 0;
    }
    MPI_Allreduce(&rank, &sum, 1, MPI_INT, MPI_SUM, MPI_COMM_WORLD);

    MPI_Comm node;
    MPI_Win window;
    int *cell, on_node;
    MPI_Comm_split_type(MPI_COMM_WORLD, MPI_COMM_TYPE_SHARED, rank, MPI_INFO_NULL, &node);
    MPI_Comm_size(node, &on_node);
    MPI_Win_allocate_shared(sizeof(int), sizeof(int), MPI_INFO_NULL, node, &cell, &window);
    MPI_Win_fence(0, window);
    *cell = rank;
    MPI_Win_fence(0, window);
    for (int i = 0; i < on_node; ++i) {
        MPI_Aint size;
        int unit, *other;
        MPI_Win_shared_query(window, i, &size, &unit, &other);
        memory += *other;
    }
    MPI_Win_free(&window);

    /* Large enough for a copy from one process straight to another, where the system has that. */
    const int length = 1 << 20;
    char *out = malloc((size_t)length), *in = malloc((size_t)length);
    memset(out, rank, (size_t)length);
    MPI_Sendrecv(out, length, MPI_CHAR, (rank + 1) % ranks, 0, in, length, MPI_CHAR, (rank + ranks - 1) % ranks, 0, MPI_COMM_WORLD, MPI_STATUS_IGNORE);
    int right = 1, all_right = 0;
    for (int i = 0; i < length; ++i) right = right && in[i] == (char)((rank + ranks - 1) % ranks);
    MPI_Allreduce(&right, &all_right, 1, MPI_INT, MPI_SUM, MPI_COMM_WORLD);

    const int roots = different(number_of("/etc/os-release", 1), ranks), users = different(number_of("/proc/self/ns/user", 0), ranks);
    if (rank == 0) printf("%d ranks, sum %d, memory %d, messages %d, root %d, users %d\n", ranks, sum, memory, all_right, roots, users);
    MPI_Finalize();
    return 0;
}
