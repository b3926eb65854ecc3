// SPDX-License-Identifier: Apache-2.0
// Yosys technology map of hw/array/adder.py for families whose carry chain takes one operand as it is: that must be ``a``,
// which tools do not always choose. See ecp5_adder.v.

module alu_conditional_adder (a, b, plus, minus, carry, total);
  parameter _TECHMAP_CONSTMSK_a_ = 0;
  localparam WIDTH = $bits(_TECHMAP_CONSTMSK_a_);
  input [WIDTH-1:0] a, b;
  input plus, minus, carry;
  output [WIDTH-1:0] total;

  wire [WIDTH-1:0] unused, carries;
  \$alu #(
    .A_SIGNED(0), .B_SIGNED(0), .A_WIDTH(WIDTH), .B_WIDTH(WIDTH), .Y_WIDTH(WIDTH)
  ) alu (
    .A(a), .B((b & {WIDTH{plus}}) | (~b & {WIDTH{minus}})), .BI(1'b0), .CI(carry), .Y(total),
    .X(unused), .CO(carries)
  );
endmodule
