// PROGRAM MODEL [--threads N] [--fit stretch|pad] [--device cpu|cuda] [--library PATH] [--from file|memory], and what
// else a program takes.
#pragma once

#include <afformer/afformer.hpp>
#include <cstddef>
#include <stdexcept>
#include <string>
#include <vector>

struct Arguments {
    std::vector<std::string> words;
    afformer::Options options;
    bool from_memory = false;

    Arguments(int argc, char** argv) {
        for (int i = 1; i < argc; ++i) {
            const std::string word = argv[i];
            if (word.rfind("--", 0) != 0) {
                words.push_back(word);
            } else if (++i < argc) {
                set(word, argv[i]);
            } else {
                throw std::runtime_error(word + " needs a value");
            }
        }
    }

private:
    void set(const std::string& name, const std::string& value) {
        if (name == "--threads") {
            options.threads = std::stoi(value);
        } else if (name == "--fit") {
            options.fit = value == "pad" ? afformer::Fit::pad : afformer::Fit::stretch;
        } else if (name == "--device") {
            options.device = value == "cuda" ? afformer::Device::cuda : afformer::Device::cpu;
        } else if (name == "--from") {
            from_memory = value == "memory";
        } else if (name == "--library") {
            options.library = value;
        } else {
            throw std::runtime_error(name + " is unknown");
        }
    }
};
