// SPDX-License-Identifier: Apache-2.0
// Yosys technology map of hw/array/adder.py: a conditional adder in the look-up tables of an ECP5 carry chain.
//
//   hierarchy -top TOP; proc; chtype -set ecp5_conditional_adder t:*_conditional_adder*;
//   techmap -map ecp5_adder.v; synth_ecp5 ...
//
// The cells have no parameters: their width is that of what is connected.

module ecp5_conditional_adder (a, b, plus, minus, carry, total);
  parameter _TECHMAP_CONSTMSK_a_ = 0;
  localparam WIDTH = $bits(_TECHMAP_CONSTMSK_a_);
  localparam CELLS = (WIDTH + 1) / 2;
  input [WIDTH-1:0] a, b;
  input plus, minus, carry;
  output [WIDTH-1:0] total;

  wire [2*CELLS-1:0] aa = a, bb = b, sum;
  wire [CELLS:0] chain;
  assign chain[0] = carry;
  assign total = sum[WIDTH-1:0];

  genvar i;
  generate
    for (i = 0; i < CELLS; i = i + 1) begin : slice
      CCU2C #(
        // A ^ (B ? C : D); its quarter for C = D = 0, which is A, is also what makes a carry where the sum is even.
        .INIT0(16'h596A),
        .INIT1(16'h596A),
        .INJECT1_0("NO"),
        .INJECT1_1("NO")
      ) ccu2c (
        .CIN(chain[i]),
        .A0(aa[2*i]), .B0(bb[2*i]), .C0(plus), .D0(minus), .S0(sum[2*i]),
        .A1(aa[2*i+1]), .B1(bb[2*i+1]), .C1(plus), .D1(minus), .S1(sum[2*i+1]),
        .COUT(chain[i+1])
      );
    end
  endgenerate
endmodule
