// SPDX-License-Identifier: BSD-3-Clause
/*
 * table_writer.hpp: everything of a squashfs behind its data: inodes, directories, fragments, export, owners and
 * extended attributes, then the super block. Order is fixed by the tree alone: non-directories directory
 * by directory, then directories with children before their parents; behind them the same of what every start meets
 * (hot_files.hpp), the root last. The kernel keeps eight blocks of 8 KiB of these tables and reads the device for each
 * other one, so a start is to find all it asks for in a few.
 */
#pragma once
#include <deque>
#include <family/pipeline.hpp>

namespace squashfs {

struct TableInput {
    const std::deque<FileData>& files;  // by content id
    const Pipeline& pipeline;           // finished
    const SquashfsOptions& options;
    bool has_options;  // compressor options stand behind the super block
};

// Appends the tables to `out` and writes the super block at 0; returns the bytes used, without padding.
uint64_t write_tables(OutputFile& out, sqfs_compressor_t& compressor, const TableInput& input,
                      const singularity::ForeignRoot& tree, const singularity::Host& host, WriterStats& stats);

}  // namespace squashfs
