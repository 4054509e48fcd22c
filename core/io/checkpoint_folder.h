// Checkpoints as folders that are either whole or not there.
//
//   ROOT/step-00012000/   the files, and manifest.json with the size and CRC-32C of each
//   ROOT/latest           one line: the name of the newest folder
//
// A writer fills ROOT/step-00012000.tmp-PID, syncs every file, writes the manifest last, syncs the
// folder, renames it, syncs ROOT, and only then moves `latest`. A reader takes only folders whose
// manifest fits. So a kill or a power cut at any moment leaves the previous checkpoint and `latest`
// usable. One process owns ROOT at a time (the run folder's lock sees to that).
#pragma once

#include <functional>
#include <map>
#include <optional>

#include "core/io/file.h"

namespace tenon::io {

inline constexpr const char* kManifestName = "manifest.json";

// "step-00012000"; steps above eight digits just grow longer.
std::string checkpoint_name(std::int64_t step);
std::optional<std::int64_t> checkpoint_step(std::string_view name);

using Manifest = std::map<std::string, Digest>;  // by file name

enum class Verify {
  Sizes,  // every file is there and has its size: cheap, for listing
  Full,   // checksums too: for loading
};

// The manifest of one checkpoint folder, checked against its files; Checkpoint error otherwise.
Manifest verify_checkpoint(const fs::path& folder, Verify verify = Verify::Full);

class CheckpointWriter {
 public:
  // Stages reported to `on_stage`, for tests that kill the process at each.
  using Stage = std::function<void(const char* stage)>;

  CheckpointWriter(fs::path root, std::int64_t step, Stage on_stage = {});
  // Removes what was written unless commit() succeeded.
  ~CheckpointWriter();
  CheckpointWriter(const CheckpointWriter&) = delete;
  CheckpointWriter& operator=(const CheckpointWriter&) = delete;

  // Creates `name`, lets fill() write it, syncs it. A FileSink for write_safetensors.
  void write(const std::string& name, const std::function<void(OutputFile&)>& fill);
  void write(const std::string& name, std::string_view text);
  // Takes in a file that another rank or tool put into folder().
  void adopt(const std::string& name);

  const fs::path& folder() const { return temporary_; }

  // Manifest, renames, `latest`. Replaces a folder of the same step. Returns its path.
  fs::path commit();

 private:
  void stage(const char* name) const {
    if (on_stage_) on_stage_(name);
  }

  fs::path root_, temporary_;
  std::int64_t step_;
  Stage on_stage_;
  Manifest manifest_;
  bool committed_ = false;
};

struct CheckpointInfo {
  std::int64_t step = 0;
  fs::path path;
};

// The valid checkpoints (by Verify::Sizes) under root, rising by step; empty when there is no root.
std::vector<CheckpointInfo> list_checkpoints(const fs::path& root);

// What `name` ("latest", "best") points to if that is valid; for "latest" otherwise the newest
// valid checkpoint. Checks everything (Verify::Full), falling back to older ones; nullopt when none
// is left.
std::optional<CheckpointInfo> find_checkpoint(const fs::path& root,
                                              const std::string& name = "latest");

// Atomically makes the one-line file ROOT/name point to a checkpoint of ROOT.
void set_checkpoint_pointer(const fs::path& root, const std::string& name, std::int64_t step);

// Removes the oldest checkpoints until `keep` are left (0 keeps all). Never removes the newest
// valid one, what a pointer file names, or steps divisible by keep_every (0 = no such rule).
void prune_checkpoints(const fs::path& root, int keep, std::int64_t keep_every = 0);

// Removes what killed writers left behind, and finishes a replacement that was cut in the middle.
void clean_checkpoint_leftovers(const fs::path& root);

}  // namespace tenon::io
