// Labels of an image: /.singularity.d/labels.json and those that a build adds (Apptainer's guide, "Container Metadata").
#pragma once
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace sg {

using Labels = std::map<std::string, std::string>;

// A JSON object of texts, as labels.json holds it; other values are taken as their JSON text. Throws Code::corrupt
// when it is no object. "" gives no labels.
Labels parse_labels(std::string_view json);
// Sorted, with `indent` before each label, and a newline at the end. "{}" when there are none.
std::string labels_json(const Labels& labels, std::string_view indent = "\t");

// "Thursday_6_December_2018_17:29:48_UTC"
std::string build_date(int64_t time);

// What a build records of itself, on top of `labels`; without a time there is no build date. `header` are the
// definition's header words, in any case.
void add_build_labels(Labels& labels, const std::vector<std::pair<std::string, std::string>>& header,
                      std::string_view arch, std::optional<int64_t> time, std::string_view version);

}  // namespace sg
