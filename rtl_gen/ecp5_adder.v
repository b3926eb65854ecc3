// SPDX-License-Identifier: Apache-2.0
// Yosys technology map of hw/adder.py: a conditional adder in the look-up tables of an ECP5 carry chain.
//
//   hierarchy -top TOP; proc; chtype -set ecp5_conditional_adder t:*_conditional_adder*;
//   techmap -map ecp5_adder.v; synth_ecp5 ...
//
// The cells have no parameters: their width is that of what is connected. The carry comes in through half a carry
// cell, and no other ends of the chain are connected: for each, nextpnr would add a whole one.

module ecp5_conditional_adder (a, b, plus, minus, carry, total);
  parameter _TECHMAP_CONSTMSK_a_ = 0;
  localparam WIDTH = $bits(_TECHMAP_CONSTMSK_a_);
  localparam CELLS = WIDTH / 2 + 1;
  input [WIDTH-1:0] a, b;
  input plus, minus, carry;
  output [WIDTH-1:0] total;
  wire [2*CELLS-1:0] aa = {a, carry}, bb = {b, 1'b0}, s;
  wire [CELLS-1:0] chain;
  assign total = s[WIDTH:1];

  // A ^ (B ? C : D); its quarter for C = D = 0, which is A, is also what makes a carry where the sum is even.
  localparam ADD = 16'h596A;
  // Zero, and A makes a carry.
  localparam CARRY = 16'h000A;

  genvar i;
  generate
    for (i = 0; i < CELLS; i = i + 1) begin : slice
      if (i == 0)
        CCU2C #(.INIT0(CARRY), .INIT1(ADD), .INJECT1_0("NO"), .INJECT1_1("NO")) ccu2c (
          .A0(carry), .B0(1'b1), .C0(1'b1), .D0(1'b1),
          .A1(a[0]), .B1(b[0]), .C1(plus), .D1(minus), .S1(s[1]), .COUT(chain[0])
        );
      else if (i == CELLS - 1)
        CCU2C #(.INIT0(ADD), .INIT1(ADD), .INJECT1_0("NO"), .INJECT1_1("NO")) ccu2c (
          .CIN(chain[i-1]),
          .A0(aa[2*i]), .B0(bb[2*i]), .C0(plus), .D0(minus), .S0(s[2*i]),
          .A1(aa[2*i+1]), .B1(bb[2*i+1]), .C1(plus), .D1(minus), .S1(s[2*i+1])
        );
      else
        CCU2C #(.INIT0(ADD), .INIT1(ADD), .INJECT1_0("NO"), .INJECT1_1("NO")) ccu2c (
          .CIN(chain[i-1]),
          .A0(aa[2*i]), .B0(bb[2*i]), .C0(plus), .D0(minus), .S0(s[2*i]),
          .A1(aa[2*i+1]), .B1(bb[2*i+1]), .C1(plus), .D1(minus), .S1(s[2*i+1]), .COUT(chain[i])
        );
    end
  endgenerate
endmodule
