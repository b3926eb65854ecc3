# SPDX-License-Identifier: Apache-2.0
"""What a core must do, from the cheapest check to the dearest, each with a name.

What the golden integer model says is compared with it; what it does not know, such as cycles, registers and the
answers to spoilt packets, with what the unmutated core did in the same place.
"""

import random
from collections.abc import Callable, Iterator
from dataclasses import asdict, replace
from functools import cache
from itertools import product
from pathlib import Path

import numpy as np

from tritforge.golden import TritforgeError
from tritforge.host.image.stream import TokenStream
from tritforge.host.measure.malformed import Packet, bad_headers, spoilt, with_header, wrong_remainders
from tritforge.host.measure.mutants import cases as gc
from tritforge.host.measure.mutants.access import REFUSED, read, write
from tritforge.host.measure.mutants.cases import Case, Cases, Said
from tritforge.host.measure.mutants.text import compare_text
from tritforge.host.measure.mutants.witness import Witness
from tritforge.host.run.driver import Driver
from tritforge.hw.packet import Context, parse_result
from tritforge.hw.params import MAX_BATCH, WORD_BITS, WORD_BYTES, CoreParams
from tritforge.hw.register_map import constants, register, registers_of
from tritforge.hw.schedule import HEADER_WORDS, HeaderWord, Status
from tritforge.perf.estimates.cycles import CycleModel
from tritforge.sim.mutate.core import MutantCore

STALL = 0.4
HELD = 0.98
"""Of a host that takes so few words that rows wait for room."""
SPOILT = 200


@cache
def _closed_form(params: CoreParams) -> CycleModel:
    """Made once: Amaranth warns of each unit that goes without having been emitted."""
    return CycleModel(params)


class Checks:
    """The checks of a core.

    Parameters
    ----------
    params : of the core. folder : for models, which are made once.

    Raises
    ------
    TritforgeError
        For a core with links, which says nothing by itself.
    """

    def __init__(self, params: CoreParams, folder: Path) -> None:
        if params.linked:
            raise TritforgeError(
                "The checks are of a core by itself, and one with links waits for its ring; leave link_bytes out."
            )
        self._params = params
        self._cases = Cases(params, folder)
        self._known: dict[tuple[int, ...], Said] = {}

    def all(self) -> Iterator[tuple[str, Callable[[MutantCore, Witness], None]]]:
        """All of them, in order."""
        batch, extra = self._params.batch > 1, self._params.extra_bits > 0
        yield "registers after reset", self._registers
        yield "bad headers", self._headers
        yield "first tokens", self._first
        yield "malformed packets", self._malformed
        yield "register accesses", self._accesses
        yield "other shapes", self._shapes
        yield "stalls", self._stalls
        yield "state moved", self._moved
        yield "aborts", self._aborts
        yield "resets", self._resets
        yield "saturations", self._saturations
        yield "loudness", self._loudness
        if batch:
            yield "contexts", self._contexts
        if extra:
            yield "outliers", self._outliers
        yield "flipped headers", self._flipped
        yield "spoilt packets", self._spoilt
        yield "a longer text", self._long
        yield "limits", self._limits

    # --- what checks are made of -------------------------------------------------------------------------------

    def _run(self, core: MutantCore, see: Witness, case: Case, label: str, logits: bool = True) -> None:
        """Every token of a case from a zero state: logits, scales, tokens, cycles, counters, the state."""
        driver = Driver(core, case.image, case.threshold)
        compare_text(driver, core, see, case, label, logits)
        self._count(core, see, driver, label, case if self._params.vector_rows == 1 else None)

    def _count(self, core: MutantCore, see: Witness, driver: Driver, label: str, case: Case | None) -> None:
        """The counters, those that mean something by themselves too."""
        c = driver.counters()
        if case:
            see.golden(f"{label}: SATURATIONS", c.saturations, case.said.saturations)
            see.golden(f"{label}: TOKENS", c.tokens, len(case.ids))
        parts = c.beats + c.repeats + c.starved + c.drain + c.dependency + c.result + c.exchange
        see.golden(f"{label}: sum of the counters", parts, c.cycles)
        for name, value in asdict(c).items():
            see.same(f"{label}: {name.upper()}", value)
        see.same(f"{label}: ERRORS", core.read_register(register("ERRORS").offset))
        see.same(f"{label}: STATUS", core.read_register(register("STATUS").offset))

    def _odd(self) -> Case:
        return self._cases.case("odd", gc.ODD, 3)

    def _short(self) -> Case:
        return self._cases.case("short", gc.SHORT, 3)

    def _packet(self, case: Case, token: int, zero: bool = True, slot: int = 0) -> Packet:
        return _joined(case, [Context(token, slot, zero, logits=True)])

    def _good(self, core: MutantCore, see: Witness, case: Case, at: int = 0) -> None:
        """A good packet, the token of this number of a case, is answered as the golden model does."""
        result = parse_result(core.exchange([self._packet(case, int(case.ids[at]), zero=not at)]))
        see.golden("status of a good packet", result.status, Status.OK)
        see.golden("sequence", result.sequence, 7)
        see.golden("logits after it", result.logits, case.said.raw[at])
        see.golden("token after it", result.tokens, (int(case.said.tokens[at]),))

    def _refused(self, core: MutantCore, see: Witness, name: str, packet: Packet, status: Status) -> None:
        """A packet is answered with this status and nothing else, which ERRORS keeps until it is cleared."""
        result = parse_result(core.exchange([packet]))
        see.golden(f"{name}: status", result.status, status)
        see.golden(f"{name}: words", (result.tokens, result.scales), ((), ()))
        see.same(f"{name}: logits that had left", result.logits)
        see.same(f"{name}: sequence", result.sequence)
        errors = register("ERRORS").offset
        see.golden(f"{name}: ERRORS", core.read_register(errors), 1 << status)
        core.write_register(errors, 1 << status)
        see.golden(f"{name}: ERRORS cleared", core.read_register(errors), 0)
        see.same(f"{name}: STATUS", core.read_register(register("STATUS").offset))

    # --- the checks --------------------------------------------------------------------------------------------

    def _registers(self, core: MutantCore, see: Witness) -> None:
        fixed = constants(self._params)
        for entry in registers_of(self._params):
            value = read(core, entry.offset)
            see.same(entry.name, value)
            if entry.name in fixed:
                see.golden(entry.name, value, fixed[entry.name])

    def _first(self, core: MutantCore, see: Witness) -> None:
        self._run(core, see, self._odd(), "odd")

    def _headers(self, core: MutantCore, see: Witness) -> None:
        case = self._short()
        self._good(core, see, case)
        packet = self._packet(case, int(case.ids[0]))
        for name, (word, value, status) in bad_headers(self._params, case.image.shape.vocab).items():
            self._refused(core, see, name, with_header(packet, word, value), status)
        for count in range(self._params.batch + 1, MAX_BATCH + 1):
            more = [Context(int(case.ids[0]), at, True, True) for at in range(count)]
            self._refused(core, see, f"{count} contexts", _joined(case, more), Status.LIMITS)
        self._good(core, see, case, 1)

    def _malformed(self, core: MutantCore, see: Witness) -> None:
        case, lanes = self._short(), self._params.lanes
        packet = self._packet(case, int(case.ids[0]))
        for byte in (0, 21, 61):
            altered = packet.copy()
            altered[byte] ^= 1
            status = Status.MAGIC if not byte else Status.HEADER_CRC
            self._refused(core, see, f"byte {byte} altered", altered, status)
        for bit, wrong in enumerate(wrong_remainders(packet)):
            self._refused(core, see, f"remainder wrong in bit {bit}", wrong, Status.HEADER_CRC)
        beats = len(packet) // lanes
        for count in sorted({1, 2, beats // 4, beats // 2, beats * 3 // 4, beats - 2, beats - 1}):
            self._refused(core, see, f"{count} beats", packet[: count * lanes], Status.SHORT)
            self._good(core, see, case)
        for extra in (1, 2, 3, 40):
            longer = np.concatenate([packet, np.zeros(extra * lanes, np.uint8)])
            self._refused(core, see, f"{extra} beats more", longer, Status.LONG)
            self._good(core, see, case)
        self._refused(core, see, "half", packet[: beats // 2 * lanes], Status.SHORT)
        torn = self._packet(case, int(case.ids[1]), zero=False)
        self._refused(core, see, "on a torn state", torn, Status.STATE)
        self._good(core, see, case)
        self._good(core, see, case, 1)

    def _accesses(self, core: MutantCore, see: Witness) -> None:
        known = {entry.offset: entry for entry in registers_of(self._params)}
        core.exchange([self._packet(self._short(), 1)])
        for offset in [*range(0, 0x100, 4), 0x100, 0x200, 0x400, 0x7FC, 0x800, 0xFFC, *(o + 1 for o in (0, 0x40))]:
            if known.get(offset) != register("STATE_DATA"):
                see.same(f"read of {offset:#x}", read(core, offset))
        for offset in [*range(0, 0x100, 4), 0x100, 0x204, 0x430, 0x840]:
            entry = known.get(offset)
            if entry is None or entry.access == "ro":
                see.golden(f"write to {offset:#x}", write(core, offset, 0xFFFFFFFF), REFUSED)
        address, data = register("STATE_ADDRESS").offset, register("STATE_DATA").offset
        words = self._params.batch * self._params.slot_values
        for value in (0, 1, 0x55, 0xAA, words - 2, words - 1, words, words + 1, 2 * words, 0xFFFFFFFF, 0x80000000):
            see.same(f"STATE_ADDRESS {value:#x}", (write(core, address, value), read(core, address)))
            see.same(f"read at {value:#x}", (read(core, data), read(core, address)))
        wide = self._params.formats.wide_bits
        top = 1 << wide - 1
        for place in (0, words // 2, words - 4):
            write(core, address, place)
            for value in (0x12345678 % top, -(0x2BCDEF01 % top), top - 1, -top, top, 1 - top):
                see.same(f"STATE_DATA {value:#x}", (write(core, data, value & 0xFFFFFFFF), read(core, address)))
            write(core, address, place)
            for _ in range(4):
                see.same("STATE_DATA read", (read(core, data), read(core, address)))
        outliers = register("OUTLIERS").offset
        before = read(core, outliers)
        for value in (0x2AA, 0x155, 0xFFFFFFFF, 0, before if isinstance(before, int) else 0):
            see.same(f"OUTLIERS {value:#x}", (write(core, outliers, value), read(core, outliers)))
        self._while_busy(core, see)
        control = register("CONTROL")
        core.write_register(control.offset, control.field("CLEAR").mask)
        for entry in registers_of(self._params):
            if entry.name != "STATE_DATA":
                see.same(f"{entry.name} after a clear", read(core, entry.offset))

    def _while_busy(self, core: MutantCore, see: Witness) -> None:
        """The same in the middle of a packet: the state is refused, counters run."""
        case = self._short()
        beats = self._packet(case, int(case.ids[0])).reshape(-1, self._params.lanes)
        half = len(beats) // 2
        core.exchange([np.ascontiguousarray(beats[:half].reshape(-1))], last=False, expect_result=False)
        for name in ("STATUS", "STATE_DATA", "CYCLES_LO", "CYCLES_HI", "STARVED_LO", "BEATS_LO", "ERRORS", "TOKENS"):
            see.same(f"{name} while busy", read(core, register(name).offset))
        see.same("write while busy", write(core, register("STATE_DATA").offset, 1))
        result = parse_result(core.exchange([np.ascontiguousarray(beats[half:].reshape(-1))]))
        see.golden("status of a packet in two parts", result.status, Status.OK)
        see.golden("logits of a packet in two parts", result.logits, case.said.raw[0])

    def _shapes(self, core: MutantCore, see: Witness) -> None:
        self._run(core, see, self._cases.case("whole beats", gc.WHOLE, 3), "whole beats")
        self._run(core, see, self._cases.case("least", gc.LEAST, 3), "least")
        self._run(core, see, self._cases.case("tied", gc.WHOLE, 2, gc.tied), "tied")
        case = self._cases.case("broad", replace(gc.ODD, hidden=64, layers=2, intermediate=160, vocab=256), 3)
        self._run(core, see, case, "broad")
        self._run(core, see, case, "broad without logits", logits=False)
        if self._params.batch == 1:
            # without pauses and logits every packet takes the cycles that the closed form says
            driver = Driver(core, case.image)
            driver.clear_counters()
            driver.step([Context(int(case.ids[0]), zero=True)])
            total = _closed_form(self._params).packet(case.image.shape).total
            see.golden("cycles of a packet", driver.counters().cycles, total)

    def _stalls(self, core: MutantCore, see: Witness) -> None:
        for stall in (STALL, 0.1, 0.8):
            core.stall = stall
            self._run(core, see, self._odd(), f"stalls of {stall}")
        core.stall = STALL
        self._run(core, see, self._cases.case("whole beats", gc.WHOLE, 3), "whole beats with stalls")
        core.stall, core.held = 0.0, HELD
        self._run(core, see, self._odd(), "result words held back")
        core.held = 0.0

    def _moved(self, core: MutantCore, see: Witness) -> None:
        """Read after a token, overwritten by others, written back, gone on with, in the last slot."""
        case, slot = self._odd(), self._params.batch - 1
        driver = Driver(core, case.image)
        driver.step([Context(int(case.ids[0]), slot, zero=True)])
        kept = driver.read_state(slot)
        driver.step([Context(5, slot, zero=True)])
        driver.write_state(kept, slot)
        see.golden("state written", driver.read_state(slot), kept)
        for at in (1, 2):
            (found,) = driver.step([Context(int(case.ids[at]), slot, logits=True)])
            see.golden(f"logits {at} after a state was moved", found.logits, case.said.raw[at])
        see.golden("state after it was moved", driver.read_state(slot), case.said.state)

    def _aborts(self, core: MutantCore, see: Witness) -> None:
        """The host stops in a packet, aborts, ends the packet, and goes on."""
        case, control = self._short(), register("CONTROL")
        beats = self._packet(case, int(case.ids[0])).reshape(-1, self._params.lanes)
        header = 64 // self._params.lanes or 1
        for count in (1, header - 1 or 1, header, header + 1, len(beats) // 4, len(beats) // 2, len(beats) - 1):
            core.exchange([np.ascontiguousarray(beats[:count].reshape(-1))], last=False, expect_result=False)
            see.same("STATUS before an abort", read(core, register("STATUS").offset))
            core.write_register(control.offset, control.field("ABORT").mask)
            see.same("STATUS after an abort", read(core, register("STATUS").offset))
            result = parse_result(core.exchange([beats[-1]]))
            see.golden(f"status of a packet aborted after {count} beats", result.status, Status.ABORTED)
            see.same("ERRORS after an abort", read(core, register("ERRORS").offset))
            see.same("TORN after an abort", read(core, register("STATUS").offset))
            self._good(core, see, case)
            self._good(core, see, case, 1)
        core.write_register(control.offset, control.field("ABORT").mask)
        self._good(core, see, case)
        core.exchange([beats.reshape(-1)], expect_result=False)
        core.write_register(control.offset, control.field("ABORT").mask)
        see.same("result of an abort behind the last beat", core.exchange([]))
        core.write_register(register("ERRORS").offset, 0xFFFFFFFF)
        self._good(core, see, case)

    def _resets(self, core: MutantCore, see: Witness) -> None:
        """In a packet, in its result, in an access: afterwards all is as after the first one."""
        case = self._short()
        beats = self._packet(case, int(case.ids[0])).reshape(-1, self._params.lanes)
        chance = random.Random(1)
        for count in [0, 1, 8, 17, len(beats), *(chance.randrange(len(beats)) for _ in range(12))]:
            last = count == len(beats)
            core.exchange(
                [np.ascontiguousarray(beats[:count].reshape(-1))] if count else [], last=last, expect_result=False
            )
            core.idle(chance.randrange(200 if last else 12))
            core.reset()
            self._registers(core, see)
            self._good(core, see, case)
        self._run(core, see, self._odd(), "after a reset")

    def _saturations(self, core: MutantCore, see: Witness) -> None:
        for name, (part, factor) in {
            "tiny embeddings": ("embeddings", 1e-6),
            "large gains": ("proj.norm", 1e5),
            "large weights": ("proj.weight", 1e30),
            "a loud down_proj": ("down_proj.weight", 1e6),
            "a loud o_proj": ("o_proj.weight", 1e6),
        }.items():
            case = self._cases.case(name, gc.WHOLE, 3, gc.louder(part, factor))
            self._run(core, see, case, name)

    def _loudness(self, core: MutantCore, see: Witness) -> None:
        """Numbers that are large and small of their kind, and fit."""
        for factor in (60.0, 8.0, 0.05, 0.001):
            name = f"gains times {factor:g}"
            case = self._cases.case(name, gc.WHOLE, 3, gc.louder("proj.norm", factor))
            self._run(core, see, case, name)
        for factor in (1e-3, 1e3):
            name = f"embeddings times {factor:g}"
            self._run(core, see, self._cases.case(name, gc.WHOLE, 3, gc.louder("embeddings", factor)), name)

    def _contexts(self, core: MutantCore, see: Witness) -> None:
        """Packets of any mixture: tokens of several sequences, several tokens of one, fresh and going on."""
        case, chance, batch = self._odd(), random.Random(3), self._params.batch
        driver = Driver(core, case.image)
        driver.clear_counters()
        for stall in (0.0, STALL):
            core.stall = stall
            sequences: list[list[int]] = [[] for _ in range(batch)]
            for packet in range(5):
                contexts, wanted = [], []
                for place in range(batch if packet % 2 else chance.randint(1, batch)):
                    slot = place if packet == 1 else chance.randrange(batch)
                    fresh = not sequences[slot] or chance.random() < 0.2
                    sequences[slot] = [*([] if fresh else sequences[slot]), chance.randrange(case.image.shape.vocab)]
                    contexts.append(Context(sequences[slot][-1], slot, fresh, logits=chance.random() < 0.8))
                    wanted.append(self._after(case, tuple(sequences[slot])))
                for context, said, found in zip(contexts, wanted, driver.step(contexts), strict=True):
                    if context.logits:
                        see.golden(f"logits of slot {context.slot}", found.logits, said.raw[-1])
                    see.golden(f"token of slot {context.slot}", found.token, said.tokens[-1])
            for slot, ids in enumerate(sequences):
                if ids:
                    said = self._after(case, tuple(ids))
                    see.golden(f"state of slot {slot}", driver.read_state(slot), said.state)
        core.stall = 0.0
        self._count(core, see, driver, "contexts", None)

    def _after(self, case: Case, ids: tuple[int, ...]) -> Said:
        """Of these tokens, as worked out once."""
        if ids not in self._known:
            self._known[ids] = case.after(np.array(ids))
        return self._known[ids]

    def _outliers(self, core: MutantCore, see: Witness) -> None:
        for threshold in (0.0, 1.0, 2.5, 6.0):
            case = self._cases.case(f"odd:outliers from {threshold}", gc.ODD, 2, threshold=threshold)
            self._run(core, see, case, f"outliers from {threshold}")
            see.same("OUTLIERS", read(core, register("OUTLIERS").offset))
        self._run(core, see, self._odd(), "outliers as usual")

    def _flipped(self, core: MutantCore, see: Witness) -> None:
        """Each bit of a header by itself, with the CRC right again: taken or refused as the unmutated core does."""
        case = self._short()
        packet = self._packet(case, int(case.ids[0]))
        words = packet[: WORD_BYTES * HEADER_WORDS].view(np.uint32)
        for word in range(HEADER_WORDS - 1):
            for bit in range(WORD_BITS):
                flipped = with_header(packet, word, int(words[word]) ^ 1 << bit)
                see.same(f"answer with bit {bit} of word {word} flipped", core.exchange([flipped]))
            self._good(core, see, case)
        # of no contexts, with one bit of what only contexts have
        words_of_contexts = range(HeaderWord.TOKENS, HeaderWord.HIDDEN)
        for word in (HeaderWord.CONTEXTS, *words_of_contexts):
            packet = with_header(packet, word, 0)
        for word, bit in product(words_of_contexts, range(WORD_BITS)):
            answer = core.exchange([with_header(packet, word, 1 << bit)])
            see.same(f"answer to bit {bit} of word {word} without contexts", answer)
        packet = self._packet(case, int(case.ids[0]))
        # beats of a vector that have room for a power of two of its inputs more than there are, and hardly more
        odd = self._params.columns // (self._params.columns & -self._params.columns)
        for place, power, more in product((0, 16), range(3, 20), (0, 1)):
            beats = (1 << power) // odd + more
            wrong = int(words[HeaderWord.BEATS]) + ((beats & 0xFFFF) << place) & 0xFFFFFFFF
            answer = core.exchange([with_header(packet, HeaderWord.BEATS, wrong)])
            see.same(f"answer to {beats} beats too many from bit {place} on", answer)
        self._good(core, see, case)
        see.same("ERRORS of flipped headers", read(core, register("ERRORS").offset))

    def _spoilt(self, core: MutantCore, see: Witness) -> None:
        case, chance = self._short(), random.Random(5)
        packet = self._packet(case, int(case.ids[0]))
        for count in range(SPOILT):
            see.same(f"answer to spoilt packet {count}", core.exchange([spoilt(packet, self._params.lanes, chance)]))
            if count % 10 == 0:
                self._good(core, see, case)
        see.same("ERRORS of spoilt packets", read(core, register("ERRORS").offset))

    def _long(self, core: MutantCore, see: Witness) -> None:
        self._run(core, see, self._cases.case("odd:long", gc.ODD, 16), "a longer text")
        self._run(core, see, self._cases.case("deep", replace(gc.ODD, layers=999, hidden=32), 4), "deep")

    def _limits(self, core: MutantCore, see: Witness) -> None:
        for name, config in gc.at_limits(self._params).items():
            self._run(core, see, self._cases.case(name, config, 2), name)


def _joined(case: Case, contexts: list[Context]) -> Packet:
    """A packet as one array."""
    return np.concatenate([np.asarray(s).reshape(-1) for s in TokenStream(case.image).packet(contexts, 7)])
