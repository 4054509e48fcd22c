// State dicts: a model's tensors by name, read from and written to safetensors.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "core/io/safetensors.h"
#include "models/nn/flat.h"

namespace tenon::nn {

// How names in a file may differ from the model without it being an error.
struct LoadRules {
  // Names of the file that are ignored (exact, or a prefix ending in '.').
  std::vector<std::string> ignore;
  // Parameters of the model that may be missing from the file and then keep their values.
  std::vector<std::string> optional;
};

// Copies the tensors of a file into the parameters and buffers of a model; floating types are
// converted. Throws Checkpoint listing how many names are missing, extra or of another shape, the
// first of each, and the nearest name. Nothing is changed when it throws.
void load(const Module& model, const io::SafetensorsReader& file, const LoadRules& rules = {});

// Parameters and buffers, ready to write; with `flat`, parameter values come from that buffer of
// `layout` (EMA weights). The tensors are copies: training may go on while they are written.
std::vector<std::pair<std::string, Tensor>> snapshot(const Module& model);
std::vector<std::pair<std::string, Tensor>> snapshot(const Module& model,
                                                     const FlatParameters& layout,
                                                     const Tensor& flat);

}  // namespace tenon::nn
