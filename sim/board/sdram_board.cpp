// SPDX-License-Identifier: Apache-2.0
// A machine at the pins of its SDRAM.
#include "board.h"
#include "sdram_chip.h"

class Sdram {
  public:
    using Settings = SdramTiming;

    Sdram(Vboard& top, const SdramTiming& timing) : top_(top), chip_(timing) {}

    void clock() {
        // the chip's clock rises between two of ours
        SdramPins pins{bool(top_.cke), bool(top_.cs_n), bool(top_.ras_n), bool(top_.cas_n), bool(top_.we_n),
                       top_.ba,        top_.a,          top_.dqm,         top_.dq_o,        bool(top_.dq_oe)};
        SdramOut out = chip_.clock(pins);
        if (out.driven) top_.dq_i = out.dq;
    }
    uint8_t* at(uint64_t address) { return chip_.data() + address; }
    uint64_t violations(Violation* found, uint64_t most) const {
        const auto& all = chip_.violations();
        for (uint64_t i = 0; i < most && i < all.size(); i++) found[i] = {all[i].cycle, all[i].rule, all[i].bank};
        return chip_.violation_count();
    }

  private:
    Vboard& top_;
    SdramChip chip_;
};

BOARD_API(Sdram)
