// SPDX-License-Identifier: Apache-2.0
// A machine with a controller of LiteDRAM, whose modelled memory is inside the Verilog; it knows no rules of a chip.
#include "Vboard___024root.h"
#include "board.h"

class Ddr3 {
  public:
    struct Settings {};

    Ddr3(Vboard& top, const Settings&) {
        auto& root = *top.rootp;
        auto words = [](auto& memory) { return reinterpret_cast<uint8_t*>(&memory[0]); };
        uint8_t* banks[BANKS] = {
            words(root.board__DOT__ddr3__DOT__mem),   words(root.board__DOT__ddr3__DOT__mem_1),
            words(root.board__DOT__ddr3__DOT__mem_2), words(root.board__DOT__ddr3__DOT__mem_3),
            words(root.board__DOT__ddr3__DOT__mem_4), words(root.board__DOT__ddr3__DOT__mem_5),
            words(root.board__DOT__ddr3__DOT__mem_6), words(root.board__DOT__ddr3__DOT__mem_7),
        };
        std::memcpy(banks_, banks, sizeof banks);
    }

    void clock() {}
    // Rows of 2 KB go round the banks. The model counts columns in half bursts, of which it uses every other one.
    uint8_t* at(uint64_t address) {
        uint64_t row = address / ROW_BYTES / BANKS, word = address % ROW_BYTES / WORD;
        return banks_[address / ROW_BYTES % BANKS] + (row * (ROW_BYTES / WORD) + word) * 2 * WORD + address % WORD;
    }
    uint64_t violations(Violation*, uint64_t) const { return 0; }

  private:
    static constexpr uint64_t BANKS = 8, ROW_BYTES = 2048, WORD = 16;
    uint8_t* banks_[BANKS];
};

BOARD_API(Ddr3)
