// SPDX-License-Identifier: BSD-3-Clause
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstring>
#include <family/pipeline.hpp>

namespace squashfs {

using singularity::Code;
using singularity::Error;
using singularity::Host;

namespace {

// Bytes of one write. What waits for it is compressed, yet each block holds a whole buffer: often three times as much.
constexpr uint64_t gather = uint64_t{2} << 20;
constexpr uint64_t copy_limit = uint64_t{64} << 20;    // bytes of one copy, so that cancelling is noticed
constexpr uint64_t copy_at_once = uint64_t{64} << 10;  // below, reading costs less than a copy of its own
constexpr size_t size_chunk = 16384;

size_t backlog_for(unsigned width, uint32_t block_size) {
    // 16 blocks per worker keep them busy; 48 MiB bound the memory on machines with many cores.
    const size_t bound = (size_t{48} << 20) / block_size;
    return std::max<size_t>(std::min<size_t>(size_t{16} * width, bound), size_t{width} + 4);
}

}  // namespace

Pipeline::Pipeline(OutputFile& file, WorkQueue& queue, const sqfs_compressor_t& compressor, uint32_t block_size)
    : file_(file),
      queue_(queue),
      block_size_(block_size),
      data_start_(file.end()),
      backlog_(backlog_for(queue.width(), block_size)),
      pool_(block_size),
      prototype_(copy_compressor(compressor)) {}

Pipeline::~Pipeline() { stop(); }

void Pipeline::stop() {
    // Jobs hold references to items: let those that run end, and those that wait do nothing.
    {
        std::lock_guard lock(mutex_);
        failed_ = true;
    }
    while (queue_.help()) {
    }
    std::unique_lock lock(mutex_);
    progress_.wait(lock, [&] {
        return !draining_ && std::all_of(items_.begin(), items_.end(), [](const Item& i) { return i.done; });
    });
}

void Pipeline::rethrow() {
    if (failure_) std::rethrow_exception(failure_);
}

Pipeline::Item& Pipeline::next_item(Kind kind, const Host& host) {
    std::unique_lock lock(mutex_);
    while (items_.size() >= backlog_) {
        rethrow();
        lock.unlock();
        host.poll();
        const bool helped = queue_.help();
        lock.lock();
        if (!helped && items_.size() >= backlog_) progress_.wait_for(lock, std::chrono::milliseconds(50));
    }
    rethrow();
    Item& item = items_.emplace_back();
    item.pipeline = this;
    item.kind = kind;
    item.route = route_;
    return item;
}

void Pipeline::submit(Item& item) { queue_.post({compress_job, &item}); }

void Pipeline::compress_job(void* arg) {
    auto& item = *static_cast<Item*>(arg);
    Pipeline& self = *item.pipeline;
    try {
        self.compress(item);
    } catch (...) {
        std::lock_guard lock(self.mutex_);
        if (!self.failure_) self.failure_ = std::current_exception();
        self.failed_ = true;
    }
    self.complete(item);
}

void Pipeline::compress(Item& item) {
    if (item.raw) {
        item.size |= stored_raw;
        if (item.kind == Kind::block) item.key = hash_({item.bytes, item.size & ~stored_raw});
        return;
    }
    CompressorPtr compressor;
    {
        std::lock_guard lock(mutex_);
        if (failed_) return;
        if (!compressors_.empty()) {
            compressor = std::move(compressors_.back());
            compressors_.pop_back();
        } else {
            compressor = copy_compressor(*prototype_);
        }
    }
    uint8_t* out = pool_.get();
    const sqfs_s32 n = compressor->do_block(compressor.get(), item.bytes, item.size, out, block_size_);
    if (n > 0 && static_cast<uint32_t>(n) < item.size) {
        std::swap(item.bytes, out);
        item.size = static_cast<uint32_t>(n);
    } else {
        item.size |= stored_raw;
    }
    pool_.put(out);
    // Equal stored bytes are equal contents, and there are fewer of them to hash.
    if (n >= 0 && item.kind == Kind::block) item.key = hash_({item.bytes, item.size & ~stored_raw});
    {
        std::lock_guard lock(mutex_);
        compressors_.push_back(std::move(compressor));
    }
    check_sqfs(n, "compress a block");
}

void Pipeline::complete(Item& item) {
    std::unique_lock lock(mutex_);
    item.done = true;
    if (!draining_) {
        draining_ = true;
        while (!items_.empty() && items_.front().done) {
            Item& first = items_.front();
            const bool skip = failed_;
            lock.unlock();
            std::exception_ptr failure;
            if (!skip) {
                try {
                    store(first);
                } catch (...) {
                    failure = std::current_exception();
                }
            }
            pool_.put(first.bytes);
            lock.lock();
            if (failure) {
                failed_ = true;
                if (!failure_) failure_ = failure;
            }
            items_.pop_front();
            progress_.notify_all();
        }
        draining_ = false;
    }
    progress_.notify_all();
}

void Pipeline::put_block(uint8_t* buffer, uint32_t size, bool raw, const Host& host) {
    Item& item = next_item(Kind::block, host);
    item.bytes = buffer;
    item.size = size;
    item.raw = raw;
    item.holes_before = std::exchange(holes_, 0);
    submit(item);
}

void Pipeline::begin_layer(const Host& host) { complete(next_item(Kind::layer, host)); }

void Pipeline::align(const Host& host) { complete(next_item(Kind::align, host)); }

void Pipeline::end_file(FileData* file, const Host& host, SegmentFile* stored, uint32_t stored_number) {
    Item& item = next_item(Kind::file_end, host);
    item.holes_before = std::exchange(holes_, 0);
    item.stored = stored;
    item.number = stored_number;
    item.file = file;
    complete(item);
}

uint32_t Pipeline::reserve_fragment() {
    if (fragments_reserved_ == no_fragment - 1)
        throw Error(Code::limit, "the image has more fragments than squashfs can number");
    return fragments_reserved_++;
}

void Pipeline::put_fragment(uint32_t number, uint8_t* buffer, uint32_t size, bool raw, const Host& host,
                            uint32_t group) {
    Item& item = next_item(Kind::fragment, host);
    item.group = group;
    item.bytes = buffer;
    item.size = size;
    item.raw = raw;
    item.number = number;
    submit(item);
}

void Pipeline::take_file(FileData& file, std::shared_ptr<Source> source, uint64_t offset, uint64_t size,
                         std::vector<uint32_t> sizes, const Host& host, uint64_t same) {
    Item& item = next_item(Kind::copied_file, host);
    item.same = same;
    item.file = &file;
    item.source = std::move(source);
    item.source_offset = offset;
    item.source_size = size;
    item.sizes = std::move(sizes);
    complete(item);
}

void Pipeline::take_fragment(uint32_t number, std::shared_ptr<Source> source, uint64_t offset, uint32_t size,
                             const Host& host) {
    Item& item = next_item(Kind::copied_fragment, host);
    item.source = std::move(source);
    item.source_offset = offset;
    item.source_size = size & ~stored_raw;
    item.size = size;
    item.number = number;
    complete(item);
}

void Pipeline::adopt_file(FileData& file, const std::shared_ptr<Source>& source, uint64_t offset, uint64_t size,
                          const std::vector<uint32_t>& sizes) {
    blocks_adopted_ +=
        static_cast<uint64_t>(std::count_if(sizes.begin(), sizes.end(), [](uint32_t s) { return s != 0; }));
    file.start = 0;
    file.blocks = static_cast<uint32_t>(sizes.size());
    file.sizes = adopted_sizes_.keep(sizes);
    if (size > 0) adoptions_.push_back({adopted_.add(source, offset, size), &file, 0, 0});
}

void Pipeline::adopt_fragment(uint32_t number, const std::shared_ptr<Source>& source, uint64_t offset, uint32_t size) {
    ++blocks_adopted_;
    adoptions_.push_back({adopted_.add(source, offset, size & ~stored_raw), nullptr, number, size});
}

std::exception_ptr Pipeline::wait_idle(const Host& host) {
    std::unique_lock lock(mutex_);
    while (!items_.empty() && !failure_) {
        lock.unlock();
        host.poll();
        const bool helped = queue_.help();
        lock.lock();
        if (!helped && !items_.empty()) progress_.wait_for(lock, std::chrono::milliseconds(50));
    }
    progress_.wait(lock, [&] { return !draining_; });
    rethrow();
    return std::exchange(segment_failure_, nullptr);
}

void Pipeline::finish(const Host& host) {
    wait_idle(host);
    flush_pending();
    flush_copy();
    fragments_.resize(fragments_reserved_);
    const uint64_t start = file_.base() + data_start_;
    const uint64_t end = adopted_.place(start + position_) - start;
    for (const Adoption& a : adoptions_) {
        const uint64_t at = adopted_.position(a.piece) - start;
        if (a.file)
            a.file->start = at;
        else
            fragments_[a.fragment] = {at, a.size};
    }
    for (const Run& run : adopted_.runs()) bytes_adopted_ += run.size;
    position_ = end;
    file_.set_end(data_start_ + position_);
}

// A disk that is full, or a cache that went away, must not end the image.
void Pipeline::store_in_segment(Item& item) {
    {
        std::lock_guard lock(mutex_);
        if (segment_failure_) return;
    }
    SegmentSink& segment = *item.route.segment;
    const bool in_image = item.route.image;
    try {
        switch (item.kind) {
            case Kind::block:
                segment.add_block(in_image ? nullptr : item.bytes, item.size, item.holes_before, item.key,
                                  sequence_hash_);
                break;
            case Kind::file_end:
                segment.end_file(*item.stored, item.number, item.holes_before, sequence_hash_,
                                 in_image ? place_in_file(item.file->start) : SegmentSink::here);
                break;
            case Kind::fragment:
                segment.add_group(item.group, item.bytes, item.size,
                                  in_image ? place_in_file(fragments_[item.number].start) : SegmentSink::here);
                break;
            default: break;
        }
    } catch (...) {
        std::lock_guard lock(mutex_);
        segment_failure_ = std::current_exception();
    }
}

void Pipeline::store(Item& item) {
    if (item.route.image || item.kind == Kind::layer) store_in_image(item);
    if (item.route.segment) store_in_segment(item);
}

void Pipeline::store_in_image(Item& item) {
    switch (item.kind) {
        case Kind::layer:
            layer_files_.clear();
            taken_.clear();
            break;
        case Kind::align: store_aligned(); break;
        case Kind::block:
            if (!in_file_) {
                in_file_ = true;
                file_start_ = position_;
                sizes_.clear();
                sequence_ = {};
            }
            sizes_.insert(sizes_.end(), item.holes_before, 0);
            sizes_.push_back(item.size);
            for (const uint64_t part : {uint64_t{item.holes_before}, uint64_t{item.size}, item.key.a, item.key.b})
                sequence_ = sequence_hash_.extend(sequence_, part);
            blocks_compressed_ += item.raw ? 0 : 1;
            store_bytes(item);
            break;
        case Kind::file_end: store_file_end(item); break;
        case Kind::fragment:
            if (fragments_.size() <= item.number) fragments_.resize(size_t{item.number} + 1);
            fragments_[item.number] = {position_, item.size};
            blocks_compressed_ += item.raw ? 0 : 1;
            store_bytes(item);
            break;
        case Kind::copied_file:
            if (item.same != UINT64_MAX && item.source_size > 0) {
                const auto known = taken_.find(item.same);
                if (known != taken_.end()) {
                    item.file->blocks = static_cast<uint32_t>(item.sizes.size());
                    std::tie(item.file->start, item.file->sizes) = known->second;
                    ++files_shared_;
                    break;
                }
            }
            item.file->start = item.source_size > 0 ? position_ : 0;
            item.file->blocks = static_cast<uint32_t>(item.sizes.size());
            item.file->sizes = sizes_kept_.keep(item.sizes);
            blocks_copied_ += static_cast<uint64_t>(
                std::count_if(item.sizes.begin(), item.sizes.end(), [](uint32_t s) { return s != 0; }));
            if (item.same != UINT64_MAX && item.source_size > 0)
                taken_.emplace(item.same, KnownFile(item.file->start, item.file->sizes));
            copy(item);
            break;
        case Kind::copied_fragment:
            if (fragments_.size() <= item.number) fragments_.resize(size_t{item.number} + 1);
            fragments_[item.number] = {position_, item.size};
            ++blocks_copied_;
            copy(item);
            break;
    }
}

void Pipeline::store_aligned() {
    const uint64_t at = place_in_file(position_);
    const auto n = static_cast<uint32_t>((run_alignment - at % run_alignment) % run_alignment);
    if (n == 0) return;
    flush_copy();
    uint8_t* zeros = pool_.get();
    std::memset(zeros, 0, n);
    if (pending_.empty()) pending_start_ = position_;
    pending_.push_back({zeros, n});
    pending_buffers_.push_back(zeros);
    pending_bytes_ += n;
    position_ += n;
}

void Pipeline::store_bytes(Item& item) {
    flush_copy();
    const uint32_t n = item.size & ~stored_raw;
    if (pending_.empty()) pending_start_ = position_;
    pending_.push_back({item.bytes, n});
    pending_buffers_.push_back(std::exchange(item.bytes, nullptr));
    pending_bytes_ += n;
    position_ += n;
    bytes_stored_ += n;
    if (pending_bytes_ >= gather) flush_pending();
}

void Pipeline::store_file_end(Item& item) {
    FileData& file = *item.file;
    if (!in_file_) {  // nothing but zeros
        sizes_.assign(item.holes_before, 0);
        file.start = 0;
        file.blocks = static_cast<uint32_t>(sizes_.size());
        file.sizes = sizes_kept_.keep(sizes_);
        return;
    }
    in_file_ = false;
    sizes_.insert(sizes_.end(), item.holes_before, 0);
    for (const uint64_t part : {uint64_t{item.holes_before}, file.size & UINT32_MAX, file.size >> 32})
        sequence_ = sequence_hash_.extend(sequence_, part);
    file.blocks = static_cast<uint32_t>(sizes_.size());
    auto& files = item.route.in_layer ? layer_files_ : files_;
    const auto found = files.find(sequence_);
    if (found == files.end()) {
        file.start = file_start_;
        file.sizes = sizes_kept_.keep(sizes_);
        files.emplace(sequence_, KnownFile(file.start, file.sizes));
        return;
    }
    // The same blocks lie there already: take the write position back.
    std::tie(file.start, file.sizes) = found->second;
    ++files_shared_;
    bytes_stored_ -= position_ - file_start_;
    position_ = file_start_;
    while (!pending_.empty() && pending_start_ + pending_bytes_ > position_) {
        pending_bytes_ -= pending_.back().iov_len;
        pending_.pop_back();
        pool_.put(pending_buffers_.back());
        pending_buffers_.pop_back();
    }
}

void Pipeline::copy(Item& item) {
    uint64_t left = item.source_size, from = item.source_offset;
    bytes_stored_ += left;
    const bool continues = copy_size_ > 0 && copy_source_ == item.source && copy_from_ + copy_size_ == from;
    if (left < copy_at_once && !continues) {
        flush_copy();
        while (left > 0) {
            const auto n = static_cast<size_t>(std::min<uint64_t>(left, block_size_));
            uint8_t* buffer = pool_.get();
            pending_buffers_.push_back(buffer);
            if (pending_.empty()) pending_start_ = position_;
            pending_.push_back({buffer, n});
            pending_bytes_ += n;
            for (size_t got = 0; got < n;) {
                const ssize_t r = pread(item.source->fd(), buffer + got, n - got, static_cast<off_t>(from + got));
                if (r < 0 && errno == EINTR) continue;
                if (r < 0) throw_errno("read the image that blocks are taken from");
                if (r == 0)
                    throw Error(Code::corrupt, "the image that blocks are taken from ends before its last block");
                got += static_cast<size_t>(r);
            }
            position_ += n, from += n, left -= n;
        }
        if (pending_bytes_ >= gather) flush_pending();
        return;
    }
    flush_pending();
    if (!continues) {
        flush_copy();
        copy_source_ = item.source;
        copy_from_ = from;
        copy_to_ = position_;
    }
    copy_size_ += left;
    position_ += left;
    if (copy_size_ >= copy_limit) flush_copy();
}

void Pipeline::flush_pending() {
    if (pending_.empty()) return;
    struct Done {
        Pipeline& self;
        ~Done() {
            for (uint8_t* b : self.pending_buffers_) self.pool_.put(b);
            self.pending_buffers_.clear();
            self.pending_.clear();
            self.pending_bytes_ = 0;
        }
    } done{*this};
    file_.write_vector(data_start_ + pending_start_, pending_);
}

void Pipeline::flush_copy() {
    if (copy_size_ == 0) return;
    const uint64_t size = std::exchange(copy_size_, 0);
    file_.copy_from(data_start_ + copy_to_, copy_source_->fd(), copy_from_, size);
}

const uint32_t* Pipeline::SizeStore::keep(const std::vector<uint32_t>& sizes) {
    if (sizes.empty()) return nullptr;
    if (sizes.size() > size_chunk / 4) return long_.emplace_back(sizes).data();
    if (chunks_.empty() || used_ + sizes.size() > size_chunk) {
        chunks_.emplace_back(size_chunk);
        used_ = 0;
    }
    uint32_t* out = chunks_.back().data() + used_;
    std::copy(sizes.begin(), sizes.end(), out);
    used_ += sizes.size();
    return out;
}

void Pipeline::add_stats(WriterStats& stats) const {
    stats.blocks_compressed = blocks_compressed_;
    stats.blocks_adopted = blocks_copied_ + blocks_adopted_;
    stats.files_shared += files_shared_;
    stats.bytes_stored = bytes_stored_ + bytes_adopted_;
}

}  // namespace squashfs
