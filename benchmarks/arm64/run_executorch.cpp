// Runs a .pte in an emulated process, for `sqsam-parity outputs --emulate`.
//
//   run_executorch MODEL FOLDER
//
// The first line on stdout is the processor and the software. Then, for every line on stdin, the inputs
// FOLDER/in-0.bin and so on are read as raw bytes, the outputs written as FOLDER/out-0.bin and so on, and
// the line is repeated on stdout.

#include <sys/utsname.h>

#include <cstdint>
#include <fstream>
#include <iostream>
#include <iterator>
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

using executorch::extension::Module;
using executorch::extension::TensorPtr;
using executorch::runtime::Error;
using executorch::runtime::EValue;

namespace {

void require(Error error, const std::string& what) {
  if (error != Error::Ok) {
    throw std::runtime_error(what + " ended with error " + std::to_string(int(error)));
  }
}

void run(Module& module, const std::string& folder) {
  auto meta = module.method_meta("forward");
  require(meta.error(), "reading the inputs' shapes");
  std::vector<std::vector<uint8_t>> bytes(meta->num_inputs());
  std::vector<TensorPtr> tensors;
  std::vector<EValue> inputs;
  for (size_t i = 0; i < bytes.size(); ++i) {
    std::ifstream file(folder + "/in-" + std::to_string(i) + ".bin", std::ios::binary);
    bytes[i].assign(std::istreambuf_iterator<char>(file), {});
    auto tensor = meta->input_tensor_meta(i);
    require(tensor.error(), "reading an input's shape");
    if (bytes[i].size() != tensor->nbytes()) {
      throw std::runtime_error("input " + std::to_string(i) + " has another size");
    }
    std::vector<executorch::aten::SizesType> sizes(tensor->sizes().begin(), tensor->sizes().end());
    tensors.push_back(
        executorch::extension::from_blob(bytes[i].data(), std::move(sizes), tensor->scalar_type()));
    inputs.emplace_back(tensors.back());
  }
  auto outputs = module.execute("forward", inputs);
  require(outputs.error(), "an inference");
  for (size_t i = 0; i < outputs->size(); ++i) {
    const auto& tensor = outputs->at(i).toTensor();
    std::ofstream(folder + "/out-" + std::to_string(i) + ".bin", std::ios::binary)
        .write(static_cast<const char*>(tensor.const_data_ptr()), tensor.nbytes());
  }
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 3) {
    std::cerr << "run_executorch MODEL FOLDER" << std::endl;
    return 2;
  }
  try {
    executorch::extension::threadpool::get_threadpool()->_unsafe_reset_threadpool(1);
    Module module(argv[1], Module::LoadMode::File);
    require(module.load_method("forward"), "loading");
    utsname machine;
    uname(&machine);
    std::cout << machine.machine << " " << SOFTWARE << std::endl;
    for (std::string line; std::getline(std::cin, line);) {
      run(module, argv[2]);
      std::cout << line << std::endl;
    }
  } catch (const std::exception& error) {
    std::cerr << error.what() << std::endl;
    return 1;
  }
}
