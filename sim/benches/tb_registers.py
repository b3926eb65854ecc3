# SPDX-License-Identifier: Apache-2.0
"""cocotb side of the register file: every register through AXI4-Lite with pauses on all channels."""

import random
from collections import deque
from typing import Any

import cocotb
from cocotb.triggers import FallingEdge
from cocotbext.axi import AxiResp

from tritforge.hw.control.registers import LATE, STATE_LATENCY
from tritforge.hw.register_map import Access, constants, register, registers_of
from tritforge.sim.benches.models.registers import MASK, Bench, event_port, pauses


@cocotb.test(timeout_time=1, timeout_unit="ms")
async def identity(dut: Any) -> None:
    """Constants, status, and SLVERR wherever there is nothing to be read or written."""
    bench = Bench(dut)
    await bench.begin()
    known = {entry.offset: entry for entry in registers_of(bench.params)}
    for name, value in constants(bench.params).items():
        assert await bench.read(name) == value, name
    slots = (1 << bench.params.batch) - 1
    for busy, torn in ((0, slots), (1, 0), (1, 1), (0, slots & 0b10), (0, 0)):
        dut.events__busy.value, dut.events__torn.value = busy, torn
        await bench.cycles(1)
        assert await bench.read("STATUS") == busy | torn << 8
    for address in range(0, 4096, 4):
        entry = known.get(address)
        if entry is None:
            assert await bench.read_at(address) == (0, AxiResp.SLVERR), hex(address)
        if entry is None or entry.access is Access.READ_ONLY:
            assert await bench.write_at(address, bytes(4)) is AxiResp.SLVERR, hex(address)
    for name, value in constants(bench.params).items():
        assert await bench.read(name) == value, name


@cocotb.test(timeout_time=1, timeout_unit="ms")
async def commands(dut: Any) -> None:
    """One pulse for each 1 written; none for a 0, a partial write or another register."""
    bench = Bench(dut)
    await bench.begin()
    for value in (*range(8), MASK - 7):
        before = dict(bench.pulses)
        assert await bench.write("CONTROL", value) is AxiResp.OKAY
        await bench.write("ERRORS", 3)
        assert await bench.read("CONTROL") == 0
        await bench.cycles(3)
        after = {name: bench.pulses[name] - before[name] for name in before}
        assert after == {name: value >> bit & 1 for bit, name in enumerate(before)}
    for size in (1, 2, 3):
        before = dict(bench.pulses)
        assert await bench.write_at(register("CONTROL").offset, b"\x03" * size) is AxiResp.SLVERR
        await bench.cycles(3)
        assert bench.pulses == before


@cocotb.test(timeout_time=1, timeout_unit="ms")
async def outliers(dut: Any) -> None:
    """The threshold is kept until another is written; a core of eight bits has none."""
    bench = Bench(dut)
    await bench.begin()
    kept = 0
    for value in (0, 96, MASK, 1, random.getrandbits(32), 0):
        assert await bench.read("OUTLIERS") == kept
        assert await bench.write("OUTLIERS", value) is AxiResp.OKAY
        kept = value & register("OUTLIERS").field("THRESHOLD").mask if bench.params.extra_bits else 0
        await bench.write("ERRORS", MASK)
        assert await bench.read("OUTLIERS") == kept
        assert not bench.params.extra_bits or int(dut.outlier_threshold.value) == kept


@cocotb.test(timeout_time=1, timeout_unit="ms")
async def errors(dut: Any) -> None:
    """Bits stay until 1 is written to them; one that is set in that very cycle stays, too."""
    bench = Bench(dut)
    await bench.begin()
    sticky, seen = 0, []
    before: deque[int] = deque([0] * 5, maxlen=5)

    async def predict() -> None:
        nonlocal sticky
        while True:
            await FallingEdge(dut.clk)
            before.append(sticky)
            if int(dut.csr__arready.value):
                # what is read is of four cycles before
                seen.append(before[0])
            if int(dut.csr__awready.value):
                sticky &= ~int(dut.csr__wdata.value)
            sticky |= int(dut.events__error_set.value)

    async def disturb() -> None:
        while True:
            dut.events__error_set.value = random.getrandbits(16) & random.getrandbits(16) & random.getrandbits(16)
            await bench.cycles(1)

    tasks = [cocotb.start_soon(predict()), cocotb.start_soon(disturb())]
    for _ in range(100):
        assert await bench.write("ERRORS", random.getrandbits(16)) is AxiResp.OKAY
        assert await bench.read("ERRORS") == seen[-1]
    for task in tasks:
        task.cancel()


@cocotb.test(timeout_time=1, timeout_unit="ms")
async def ring(dut: Any) -> None:
    """What a core with a link knows of its ring, bit for bit; others have no such register (`identity`)."""
    bench = Bench(dut)
    await bench.begin()
    for value in (0, 0x1FFF, *(1 << bit for bit in range(13)), random.getrandbits(13)):
        if bench.params.linked:
            dut.link.value = value
            await bench.cycles(1)
            assert await bench.read("LINK") == value


@cocotb.test(timeout_time=1, timeout_unit="ms")
async def counters(dut: Any) -> None:
    """Every counter counts its own event, carries into its upper half, is read whole and can be cleared."""
    bench = Bench(dut)
    await bench.begin()
    kinds = bench.long | bench.short
    widths = {name: 64 if name in bench.long else 32 for name in kinds}
    rounds = [
        dict.fromkeys(kinds, 0),
        {name: 0xFFFFFF80 if name in bench.long else 0xFF80 for name in kinds},
    ]
    for _ in range(4):
        starts = {name: random.getrandbits(width) for name, width in widths.items()}
        # between the two each bit of the upper halves is 0 and 1
        rounds += [starts, {name: ~start & (1 << widths[name]) - 1 for name, start in starts.items()}]
    for starts in rounds:
        assert await bench.write("CONTROL", 2) is AxiResp.OKAY
        await bench.cycles(6)
        counts = dict(starts)
        for name, start in starts.items():
            bench.start_counter(name, start)
        for _ in range(200):
            for name, kind in kinds.items():
                more = int(random.random() < 0.1 * len(kind))
                more = random.randint(0, 8) if name == "TOKENS" else more
                event_port(dut, kind).value = more
                counts[name] += more
            await bench.cycles(1)
        for kind in kinds.values():
            event_port(dut, kind).value = 0
        await bench.cycles(3)
        lows = {name: await bench.read(f"{name}_LO") for name in bench.long}
        for name in bench.long:
            assert await bench.read(f"{name}_HI") << 32 | lows[name] == counts[name], name
        for name in bench.short:
            assert await bench.read(name) == min(counts[name], MASK), name


@cocotb.test(timeout_time=5, timeout_unit="ms")
async def running_counters(dut: Any) -> None:
    """The halves of a running counter belong together, however close to a carry the lower one was read."""
    bench = Bench(dut)
    await bench.begin()
    # an access takes as long each time, so that the carry can be met
    bench.pause([0])
    events = [event_port(dut, kind) for kind in bench.long.values()]
    for name in bench.long:
        others, lows, before = [other for other in bench.long if other != name], set[int](), 30
        while not lows >= {MASK, 0}:
            assert before, f"{name} could not be read right before a carry and right behind it"
            for event in events:
                event.value = 0
            await bench.cycles(4)
            start = (random.randint(1, MASK) << 32) - before
            bench.start_counter(name, start)
            for event in events:
                event.value = 1
            first = await bench.read(f"{name}_LO")
            lows.add(first)
            # the carry comes, and another counter is read in between
            await bench.cycles(before)
            await bench.read(f"{random.choice(others)}_LO")
            first |= await bench.read(f"{name}_HI") << 32
            last = await bench.read(f"{name}_LO")
            last |= await bench.read(f"{name}_HI") << 32
            assert start <= first <= start + 40, f"{name}: {first:#x} soon after {start:#x}"
            assert first + before < last <= first + before + 80, f"{name}: {last:#x} soon after {first:#x}"
            before -= 1


@cocotb.test(timeout_time=1, timeout_unit="ms")
async def full_counters(dut: Any) -> None:
    """A short one stops at its end."""
    bench = Bench(dut)
    await bench.begin()
    # until the reset is through
    await bench.cycles(3)
    for name, left in (("TOKENS", 12), ("SATURATIONS", 5)):
        bench.start_counter(name, MASK - left)
    dut.events__tokens_done.value, dut.events__saturated.value = 8, 1
    await bench.cycles(400)
    for _ in range(3):
        for name in bench.short:
            assert await bench.read(name) == MASK, name


@cocotb.test(timeout_time=1, timeout_unit="ms")
async def state_window(dut: Any) -> None:
    """Random accesses, in runs, against a copy of the memory: increments, limits, and refusal while busy."""
    bench = Bench(dut)
    await bench.begin()
    model, address = list(bench.memory), 0
    wide_max = bench.params.formats.wide_max
    for _ in range(150):
        action = random.random()
        if action < 0.3:
            new = random.choice([0, bench.depth - 1, bench.depth - 2, random.randrange(bench.depth)])
            assert await bench.write("STATE_ADDRESS", new) is AxiResp.OKAY
            address = new
        elif action < 0.35:
            new = random.choice([bench.depth, bench.depth + 1, MASK, 1 << 31])
            assert await bench.write("STATE_ADDRESS", new) is AxiResp.SLVERR
        elif action < 0.45:
            dut.events__busy.value = 1
            await bench.cycles(1)
            assert await bench.read_at(register("STATE_DATA").offset) == (0, AxiResp.SLVERR)
            assert await bench.write("STATE_DATA", 1) is AxiResp.SLVERR
            dut.events__busy.value = 0
            await bench.cycles(LATE + STATE_LATENCY + 2)
        for _ in range(random.randrange(4)):
            if random.random() < 0.5:
                value = random.choice([wide_max, -wide_max, 0, -1, random.randint(-wide_max, wide_max)])
                response = await bench.write("STATE_DATA", value)
                if address < bench.depth:
                    model[address] = value
            else:
                got, response = await bench.read_at(register("STATE_DATA").offset)
                assert got == (model[address] & MASK if address < bench.depth else 0)
            assert response is (AxiResp.OKAY if address < bench.depth else AxiResp.SLVERR)
            address = min(address + 1, bench.depth)
        assert await bench.read("STATE_ADDRESS") == address
    assert await bench.write("STATE_ADDRESS", 0) is AxiResp.OKAY
    for beyond in (wide_max + 1, -wide_max - 1, 2 * wide_max, -2 * wide_max):
        if -(1 << 31) <= beyond < 1 << 31:
            assert await bench.write("STATE_DATA", beyond) is AxiResp.SLVERR
    assert await bench.read("STATE_ADDRESS") == 0
    assert bench.memory == model


@cocotb.test(timeout_time=1, timeout_unit="ms")
async def busy_at_any_moment(dut: Any) -> None:
    """A read around the edges of busy gives the word, or SLVERR and the word again at the next read."""
    bench = Bench(dut)
    await bench.begin()

    async def toggle() -> None:
        while True:
            dut.events__busy.value = random.getrandbits(1)
            await bench.cycles(random.randint(1, 8))

    toggling = cocotb.start_soon(toggle())
    outcomes, address = [], 0
    while address < min(bench.depth, 200):
        value, response = await bench.read_at(register("STATE_DATA").offset)
        outcomes.append(response)
        if response is AxiResp.OKAY:
            assert value == bench.memory[address] & MASK
            address += 1
    assert set(outcomes) == {AxiResp.OKAY, AxiResp.SLVERR}
    toggling.cancel()


@cocotb.test(timeout_time=1, timeout_unit="ms")
async def together(dut: Any) -> None:
    """Many reads and writes under way at once: all are answered, each kind in order, neither starves."""
    bench = Bench(dut)
    await bench.begin()
    bench.master.write_if.b_channel.set_pause_generator(pauses(0.9))
    bench.master.read_if.r_channel.set_pause_generator(pauses(0.9))
    offset = register("STATE_ADDRESS").offset
    addresses = [random.randrange(bench.depth) for _ in range(100)]
    writes = [bench.master.init_write(offset, a.to_bytes(4, "little")) for a in addresses]
    names = ["ID", "VERSION", "STATUS"] * 30
    reads = [bench.master.init_read(register(name).offset, 4) for name in names]
    for event in writes:
        await event.wait()
        assert event.data.resp is AxiResp.OKAY
    expected = constants(bench.params) | {"STATUS": 0}
    for event, name in zip(reads, names, strict=True):
        await event.wait()
        assert int.from_bytes(event.data.data, "little") == expected[name]
    assert await bench.read("STATE_ADDRESS") == addresses[-1]


@cocotb.test(timeout_time=1, timeout_unit="ms")
async def turns(dut: Any) -> None:
    """After an access the other kind is next if it waits; so neither is served twice while the other waits."""
    bench = Bench(dut)
    await bench.begin()
    served, expected, contended = [], [], 0

    async def watch() -> None:
        nonlocal contended
        address, after, due = 0, None, None
        while True:
            await FallingEdge(dut.clk)
            can_write = int(dut.csr__awvalid.value) and int(dut.csr__wvalid.value) and not int(dut.csr__bvalid.value)
            can_read = int(dut.csr__arvalid.value) and not int(dut.csr__rvalid.value)
            # the choice falls in the cycle after an access
            if after:
                due = {"write": "read" if can_read else None, "read": "write" if can_write else None}[after]
                contended += due is not None
            wrote, was_read = int(dut.csr__awready.value), int(dut.csr__arready.value)
            assert wrote == int(dut.csr__wready.value) and not (wrote and was_read)
            after = "write" if wrote else "read" if was_read else None
            if after:
                assert due in (None, after), f"{due} waits and {after} is served"
                due = None
                served.append(after)
            if wrote:
                address = int(dut.csr__wdata.value)
            if was_read:
                expected.append(address)

    watching = cocotb.start_soon(watch())
    offset, count = register("STATE_ADDRESS").offset, 60
    for chance in (0, 0.3, 0.7):
        bench.pause([chance])
        served.clear()
        expected.clear()
        contended = 0
        assert await bench.write("STATE_ADDRESS", 0) is AxiResp.OKAY
        words = [random.randrange(bench.depth).to_bytes(4, "little") for _ in range(count)]
        pending = [(bench.master.init_write(offset, word), bench.master.init_read(offset, 4)) for word in words]
        got = []
        for write, read in pending:
            await write.wait()
            await read.wait()
            assert write.data.resp is AxiResp.OKAY and read.data.resp is AxiResp.OKAY
            got.append(int.from_bytes(read.data.data, "little"))
        assert served.count("read") == count and served.count("write") == count + 1
        assert got == expected
        # without pauses both wait all the time
        assert contended >= (2 * count - 2 if chance == 0 else 5), contended
    watching.cancel()
