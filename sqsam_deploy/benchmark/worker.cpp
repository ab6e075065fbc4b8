// The worker of sqsam-bench for a .pte, without Python: what an app's process costs.
//
//   worker MODEL THREADS INPUTS COUNT LIBRARY...
//
// INPUTS holds COUNT sets of inputs as raw bytes, `0-0.bin` being the first input of the first set.
// Each LIBRARY registers a backend or kernels. Then one command a line on stdin, one JSON answer a
// line on stdout, as in sqsam_deploy/benchmark/jobs.py; the first line, a job, is not needed here.

#include <dlfcn.h>
#include <time.h>

#include <chrono>
#include <cstdint>
#include <cstdio>
#include <fstream>
#include <iostream>
#include <iterator>
#include <sstream>
#include <stdexcept>
#include <string>
#include <vector>

#include <executorch/extension/module/module.h>
#include <executorch/extension/tensor/tensor_ptr.h>
#include <executorch/extension/tensor/tensor_ptr_maker.h>

// The wheel has the library of the thread pool, and not its header.
namespace executorch::extension::threadpool {
class ThreadPool {
 public:
  bool _unsafe_reset_threadpool(uint32_t threads);
};
ThreadPool* get_threadpool();
}  // namespace executorch::extension::threadpool

using executorch::extension::from_blob;
using executorch::extension::Module;
using executorch::runtime::Error;
using executorch::runtime::EValue;

namespace {

using Bytes = std::vector<uint8_t>;

std::string text_of(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

// A line `KEY:   N kB` of a file of /proc, in bytes.
uint64_t kibibytes(const std::string& text, const std::string& key) {
  std::istringstream lines(text);
  for (std::string line; std::getline(lines, line);) {
    if (line.rfind(key + ":", 0) == 0) {
      return std::stoull(line.substr(key.size() + 1)) * 1024;
    }
  }
  return 0;
}

uint64_t status(const std::string& key) { return kibibytes(text_of("/proc/self/status"), key); }

std::string memory_use() {
  const std::string text = text_of("/proc/self/smaps_rollup");
  if (text.empty()) {
    return "null";
  }
  std::ostringstream json;
  json << "{\"rss\":" << kibibytes(text, "Rss") << ",\"pss\":" << kibibytes(text, "Pss")
       << ",\"uss\":" << kibibytes(text, "Private_Clean") + kibibytes(text, "Private_Dirty") << "}";
  return json.str();
}

double milliseconds_since(std::chrono::steady_clock::time_point start) {
  return std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - start).count();
}

void require(Error error, const std::string& what) {
  if (error != Error::Ok) {
    throw std::runtime_error(what + " ended with error " + std::to_string(int(error)));
  }
}

class Network {
 public:
  Network(const std::string& path, std::vector<std::vector<Bytes>> sets)
      : module_(path, Module::LoadMode::Mmap), sets_(std::move(sets)) {}

  void load() { require(module_.load_method("forward"), "loading"); }

  // Milliseconds of one inference.
  double run(size_t index) {
    auto meta = module_.method_meta("forward");
    require(meta.error(), "reading the inputs' shapes");
    std::vector<executorch::extension::TensorPtr> tensors;
    std::vector<EValue> inputs;
    auto& set = sets_.at(index % sets_.size());
    for (size_t i = 0; i < set.size(); ++i) {
      auto tensor = meta->input_tensor_meta(i);
      require(tensor.error(), "reading an input's shape");
      std::vector<executorch::aten::SizesType> sizes(tensor->sizes().begin(), tensor->sizes().end());
      tensors.push_back(from_blob(set[i].data(), std::move(sizes), tensor->scalar_type()));
      inputs.emplace_back(tensors.back());
    }
    const auto start = std::chrono::steady_clock::now();
    auto outputs = module_.execute("forward", inputs);
    const double spent = milliseconds_since(start);
    require(outputs.error(), "an inference");
    return spent;
  }

 private:
  Module module_;
  std::vector<std::vector<Bytes>> sets_;
};

std::vector<std::vector<Bytes>> read_sets(const std::string& folder, int count) {
  std::vector<std::vector<Bytes>> sets(count);
  for (int set = 0; set < count; ++set) {
    for (int input = 0;; ++input) {
      const std::string name = "/" + std::to_string(set) + "-" + std::to_string(input) + ".bin";
      std::ifstream file(folder + name, std::ios::binary);
      if (!file) {
        break;
      }
      sets[set].emplace_back(std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>());
    }
  }
  return sets;
}

size_t count_in(const std::string& command) {
  const size_t at = command.find("\"count\":");
  return at == std::string::npos ? 1 : std::stoul(command.substr(at + 8));
}

void serve(int argc, char** argv) {
  if (argc < 5) {
    throw std::runtime_error("worker MODEL THREADS INPUTS COUNT LIBRARY...");
  }
  for (int i = 5; i < argc; ++i) {
    if (dlopen(argv[i], RTLD_NOW | RTLD_GLOBAL) == nullptr) {
      throw std::runtime_error(dlerror());
    }
  }
  executorch::extension::threadpool::get_threadpool()->_unsafe_reset_threadpool(std::stoul(argv[2]));
  Network network(argv[1], read_sets(argv[3], std::stoi(argv[4])));
  std::string command;
  std::getline(std::cin, command);

  const std::string unopened = memory_use();
  const uint64_t before = status("VmRSS");
  std::ofstream("/proc/self/clear_refs") << "5";
  const auto start = std::chrono::steady_clock::now();
  network.load();
  const double load_ms = milliseconds_since(start);
  const uint64_t loaded = status("VmRSS");
  const std::string opened = memory_use();
  const double first_ms = network.run(0);
  const std::string used = memory_use();
  std::cout << "{\"load_ms\":" << load_ms << ",\"first_ms\":" << first_ms << ",\"before\":" << before
            << ",\"loaded\":" << loaded << ",\"uses\":[" << unopened << "," << opened << "," << used
            << "]}" << std::endl;

  size_t index = 1;
  while (std::getline(std::cin, command) && command.find("\"end\"") == std::string::npos) {
    if (command.find("\"memory\"") != std::string::npos) {
      std::cout << "{\"memory\":{\"before\":" << before
                << ",\"loaded\":" << (loaded > before ? loaded - before : 0)
                << ",\"peak\":" << status("VmHWM") << ",\"before_loading\":" << unopened
                << ",\"after_loading\":" << opened << ",\"after_first\":" << used
                << ",\"at_end\":" << memory_use() << "}}" << std::endl;
      continue;
    }
    std::cout << "{\"stages\":{\"inference\":[";
    for (size_t i = 0, count = count_in(command); i < count; ++i) {
      std::cout << (i ? "," : "") << network.run(index++);
    }
    timespec spent;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &spent);
    std::cout << "]},\"processor_seconds\":" << spent.tv_sec + spent.tv_nsec * 1e-9 << "}"
              << std::endl;
  }
}

}  // namespace

int main(int argc, char** argv) {
  std::cout.precision(10);
  try {
    serve(argc, argv);
  } catch (const std::exception& error) {
    std::string text = error.what();
    for (char& sign : text) {
      sign = sign == '"' || sign == '\\' || sign < ' ' ? '\'' : sign;
    }
    std::cout << "{\"error\":\"" << text << "\"}" << std::endl;
  }
}
