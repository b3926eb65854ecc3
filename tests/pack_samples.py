# SPDX-License-Identifier: Apache-2.0
"""Small designs around a multiplier or block RAM, for tests of `rtl_gen.synthesis.ecp5_pack`."""

from collections.abc import Sequence
from pathlib import Path

_PRODUCT = "reg signed [17:0] c = 0, d = 0; reg signed [35:0] p = 0;"
_MEMORY = """(* no_rw_check *) reg [17:0] m [1023:0]; reg [17:0] q = 0, r = 0;
    always @(posedge clk) if (we) m[{~a[9], b[8:0]}] <= a;"""
_OUT = "always @(posedge clk) y <= p ^ 36'h123456789;"
_READ = "always @(posedge clk) y <= r ^ 18'h12345;"
_INPUTS = "c <= a; d <= b;"

SAMPLES = {
    "both": f"{_PRODUCT} {_OUT} always @(posedge clk) begin {_INPUTS} p <= c * d; end",
    "enabled": f"{_PRODUCT} {_OUT} always @(posedge clk) if (ce) begin {_INPUTS} p <= c * d; end",
    "cleared": f"""{_PRODUCT} {_OUT} always @(posedge clk)
        if (rst) begin c <= 0; d <= 0; p <= 0; end else if (ce) begin {_INPUTS} p <= c * d; end""",
    "inverted": f"""{_PRODUCT} {_OUT} always @(posedge clk)
        if (!rst) begin c <= 0; d <= 0; p <= 0; end else if (!ce) begin {_INPUTS} p <= c * d; end""",
    "squared": f"{_PRODUCT} {_OUT} always @(posedge clk) begin c <= a; p <= c * c; end",
    "narrow": """reg [4:0] c = 0; reg [6:0] d = 0; reg [11:0] p = 0;
        always @(posedge clk) begin c <= a; d <= b; p <= c * d; y <= ~p; end""",
    "extended": """reg signed [8:0] c = 0; reg signed [17:0] d = 0; reg signed [26:0] p = 0;
        always @(posedge clk) begin c <= a; d <= b; p <= c * d; y <= ~p; end""",
    "shared": f"{_PRODUCT} always @(posedge clk) begin {_INPUTS} p <= c * d; y <= p ^ c; end",
    "product_only": f"{_PRODUCT} {_OUT} always @(posedge clk) p <= (a ^ b) * b;",
    "operands_only": f"{_PRODUCT} always @(posedge clk) begin {_INPUTS} y <= (c * d) ^ 36'h123456789; end",
    "one_operand": f"{_PRODUCT} {_OUT} always @(posedge clk) begin c <= a; p <= c * b; end",
    "other_load": f"{_PRODUCT} always @(posedge clk) begin {_INPUTS} p <= c * d; y <= p ^ (c * d); end",
    "other_enable": f"""{_PRODUCT} {_OUT} always @(posedge clk)
        begin if (ce) c[8:0] <= a; if (we) c[17:9] <= a[17:9]; d <= b; p <= c * d; end""",
    "begins_as_one": f"""reg signed [17:0] c = 1, d = 0; reg signed [35:0] p = 0; {_OUT} always @(posedge clk)
        begin {_INPUTS} p <= c * d; end""",
    "set": f"""{_PRODUCT} {_OUT} always @(posedge clk)
        begin {_INPUTS} p <= c * d; if (rst) p <= 1; end""",
    "asynchronous": f"""{_PRODUCT} {_OUT} always @(posedge clk) begin {_INPUTS} end
        always @(posedge clk or posedge rst) if (rst) p <= 0; else p <= c * d;""",
    "ram": f"{_MEMORY} {_READ} always @(posedge clk) begin q <= m[a]; r <= q; end",
    "wide_ram": """(* no_rw_check *) reg [35:0] m [511:0]; reg [35:0] q = 0, r = 0;
        always @(posedge clk) begin if (we) m[{~a[8], b[7:0]}] <= {a, b}; q <= m[a]; r <= q; y <= ~r; end""",
    "held_ram": f"{_MEMORY} {_READ} always @(posedge clk) begin if (ce) q <= m[a]; if (!we) r <= q; end",
    "ram_load": f"{_MEMORY} always @(posedge clk) begin q <= m[a]; r <= q; y <= r ^ q; end",
    "ram_reset": f"{_MEMORY} {_READ} always @(posedge clk) begin q <= m[a]; r <= q; if (rst) r <= 0; end",
    "ram_plain": f"{_MEMORY} always @(posedge clk) begin q <= m[a]; y <= ~q; end",
    "ram_by_nines": """(* no_rw_check *) reg [17:0] m [1023:0]; always @(posedge clk) begin
        if (we) m[{~a[9], b[8:0]}] <= a; if (ce) m[{~a[9], b[8:0]}][8:0] <= b[17:9]; y <= m[a]; end""",
    "rom": """reg [17:0] m [1023:0]; integer i; initial for (i = 0; i < 1024; i = i + 1) m[i] = 77777 * i * i + 1;
        always @(posedge clk) if (ce) y <= m[b];""",
}
for _width, _bits in ((1, 14), (2, 13), (4, 12), (9, 11)):
    SAMPLES[f"ram_{_width}"] = f"""(* no_rw_check *) reg [{_width - 1}:0] m [{2**_bits - 1}:0];
        always @(posedge clk) begin if (we) m[{{~a[{_bits - 1}], b[{_bits - 2}:0]}}] <= b; y <= m[a]; end"""
"""Body of a module by name: y from a and b. No memory is read where it is being written."""

PORTS = "input clk, rst, ce, we, input signed [17:0] a, b"


def samples(folder: Path, names: Sequence[str] = tuple(SAMPLES)) -> list[Path]:
    """Verilog of these in a folder, and of a module ``samples`` of them with one output each, ``y_NAME``."""
    texts = {
        f"samples_{name}": f"module samples_{name}({PORTS}, output reg [35:0] y = 0);\n{SAMPLES[name]}\nendmodule\n"
        for name in names
    }
    outputs = ", ".join(f"output [35:0] y_{name}" for name in names)
    units = "\n".join(f"samples_{name} {name}(clk, rst, ce, we, a, b, y_{name});" for name in names)
    texts["samples"] = f"module samples({PORTS}, {outputs});\n{units}\nendmodule\n"
    for name, text in texts.items():
        (folder / f"{name}.v").write_text(text)
    return [folder / f"{name}.v" for name in texts]
