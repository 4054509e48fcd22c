#include "trainers/loop/checkpointer.h"

#include <nlohmann/json.hpp>

#include "core/io/checkpoint_folder.h"
#include "core/io/json.h"
#include "core/io/tensor_io.h"
#include "core/memory/allocator.h"
#include "models/nn/state.h"

namespace tenon::loop {

namespace {

using NamedTensors = std::vector<std::pair<std::string, Tensor>>;

// A flat buffer as one tensor a parameter, so that it can be loaded into any sharding.
NamedTensors by_name(const nn::FlatParameters& layout, const Tensor& flat, const char* prefix) {
  NamedTensors out;
  for (const auto& e : layout.entries()) {
    Tensor copy = Tensor::empty(e.parameter->tensor().sizes());
    copy.copy_from(layout.view(flat, e));
    out.emplace_back(prefix + e.name, std::move(copy));
  }
  return out;
}

void read_flat(const io::SafetensorsReader& file, const nn::FlatParameters& layout,
               const Tensor& flat, const std::string& prefix) {
  for (const auto& e : layout.entries()) {
    const Tensor value = io::read_tensor(file.at(prefix + e.name));
    check(value.sizes() == e.parameter->tensor().sizes() && value.dtype() == DType::f32,
          ErrorKind::Checkpoint, "{}: {} is {}, the model wants {}", file.path().string(),
          prefix + e.name, value.describe(), e.parameter->tensor().describe());
    layout.view(flat, e).copy_from(value);
  }
}

struct Snapshot {
  NamedTensors model, ema, optimizer;
  std::string state, config;
};

void write_file(io::CheckpointWriter& writer, const std::string& stem,
                const NamedTensors& tensors) {
  std::vector<io::TensorToWrite> list;
  for (const auto& [name, tensor] : tensors) list.push_back(io::tensor_to_write(name, tensor));
  io::SafetensorsFolder options;
  options.stem = stem;
  options.metadata = {{"format", "pt"}};
  io::write_safetensors(
      [&](const std::string& name, const std::function<void(io::OutputFile&)>& fill) {
        writer.write(name, fill);
      },
      std::move(list), options);
}

}  // namespace

void Checkpointer::save(const TrainState& state, Task& task, const nn::FlatParameters& parameters,
                        const Optimizer& optimizer) {
  writer_.wait();
  auto s = std::make_shared<Snapshot>();
  s->model = nn::snapshot(task.model());
  s->ema = nn::snapshot(task.model(), parameters, optimizer.ema());
  for (auto& [name, tensor] : task.extra_tensors()) {
    // An extra tensor stands in place of the model's own of that name (re-estimated statistics).
    std::erase_if(s->ema, [&](const auto& item) { return item.first == name; });
    s->ema.emplace_back(name, tensor);
  }
  s->optimizer = by_name(parameters, optimizer.first_moment(), "exp_avg.");
  for (auto& item : by_name(parameters, optimizer.second_moment(), "exp_avg_sq."))
    s->optimizer.push_back(std::move(item));
  nlohmann::json json = {{"format", 1},
                         {"step", state.step},
                         {"samples", state.samples},
                         {"seed", state.seed},
                         {"optimizer_steps", optimizer.steps()},
                         {"world", 1}};
  s->state = json.dump(2) + "\n";
  s->config = options_.config;
  bytes_ = 0;
  for (const NamedTensors* list : {&s->model, &s->ema, &s->optimizer})
    for (const auto& [name, tensor] : *list) bytes_ += tensor.bytes();
  const size_t free = io::free_space(options_.root);
  check(free > bytes_ + (size_t{1} << 20), ErrorKind::Disk,
        "{}: a checkpoint needs {}, {} are free", options_.root.string(), format_bytes(bytes_),
        format_bytes(free));
  writer_.submit([s, options = options_, step = state.step] {
    io::CheckpointWriter writer(options.root, step);
    write_file(writer, "model", s->model);
    write_file(writer, "ema", s->ema);
    write_file(writer, "optim", s->optimizer);
    writer.write("config.json", s->config);
    writer.write("state.json", s->state);
    writer.commit();
    io::prune_checkpoints(options.root, options.keep, options.keep_every);
  });
}

TrainState load_checkpoint(const std::filesystem::path& folder, Task& task,
                           const nn::FlatParameters& parameters, Optimizer& optimizer) {
  io::verify_checkpoint(folder);
  const auto json = io::read_json(folder / "state.json", ErrorKind::Checkpoint);
  TrainState state;
  try {
    state.step = json.at("step").get<int64_t>();
    state.samples = json.at("samples").get<int64_t>();
    state.seed = json.at("seed").get<uint64_t>();
    optimizer.set_steps(json.at("optimizer_steps").get<int64_t>());
  } catch (const nlohmann::json::exception& e) {
    throw_error(ErrorKind::Checkpoint, "{}: {}", (folder / "state.json").string(), e.what());
  }
  check(state.step >= 0 && state.samples >= 0, ErrorKind::Checkpoint,
        "{}: negative step or samples", (folder / "state.json").string());
  nn::load(task.model(), io::SafetensorsReader(folder / "model.safetensors"));
  const io::SafetensorsReader ema(folder, ErrorKind::Checkpoint, "ema");
  read_flat(ema, parameters, optimizer.ema(), "");
  task.load_extra(ema);
  const io::SafetensorsReader optim(folder, ErrorKind::Checkpoint, "optim");
  read_flat(optim, parameters, optimizer.first_moment(), "exp_avg.");
  read_flat(optim, parameters, optimizer.second_moment(), "exp_avg_sq.");
  return state;
}

}  // namespace tenon::loop
