// SPDX-License-Identifier: Apache-2.0
// Feeds a free-running unit (prefix Vunit) with a value a cycle and takes what comes out so many cycles later.
#include <cstddef>
#include <cstdint>
#include <memory>

#include "Vunit.h"
#include "verilated.h"

extern "C" __attribute__((visibility("default"))) void run(const uint64_t* inputs, size_t count, size_t latency,
                                                           uint32_t* outputs) {
    VerilatedContext context;
    Vunit unit(&context);
    unit.rst = 0;
    for (size_t i = 0; i < count + latency; i++) {
        unit.INPUT = inputs[i < count ? i : count - 1];
        unit.clk = 0;
        unit.eval();
        if (i >= latency) outputs[i - latency] = unit.OUTPUT;
        unit.clk = 1;
        unit.eval();
    }
    unit.final();
}
