// SPDX-License-Identifier: Apache-2.0
// Behaviour of the ECP5 cells that Yosys has no model of, for simulation of a netlist: MULT18X18D and DP16KD, in the
// configurations that Yosys and rtl_gen/synthesis/ecp5_pack.py use; any other stops the simulation when it begins. Registers
// and memories begin as 0 like the device's, or with RANDOM_START as Verilator's random values, but for memory with
// contents. tests/sim/test_gates.py compares them with Verilog's own.
`ifdef RANDOM_START
  `define ECP5_START
`else
  `define ECP5_START = 0
`endif

// The product of A and B, 18 bits each, signed or not.
// Both operands and the product may have registers, each with one of the enables and resets; a reset comes first.
module MULT18X18D (
  input A17, A16, A15, A14, A13, A12, A11, A10, A9, A8, A7, A6, A5, A4, A3, A2, A1, A0,
  input B17, B16, B15, B14, B13, B12, B11, B10, B9, B8, B7, B6, B5, B4, B3, B2, B1, B0,
  input C17, C16, C15, C14, C13, C12, C11, C10, C9, C8, C7, C6, C5, C4, C3, C2, C1, C0,
  input SIGNEDA, SIGNEDB, SOURCEA, SOURCEB,
  input CLK0, CLK1, CLK2, CLK3, CE0, CE1, CE2, CE3, RST0, RST1, RST2, RST3,
  output P35, P34, P33, P32, P31, P30, P29, P28, P27, P26, P25, P24, P23, P22, P21, P20, P19, P18, P17, P16, P15,
         P14, P13, P12, P11, P10, P9, P8, P7, P6, P5, P4, P3, P2, P1, P0
);
  parameter REG_INPUTA_CLK = "NONE";
  parameter REG_INPUTA_CE = "CE0";
  parameter REG_INPUTA_RST = "RST0";
  parameter REG_INPUTB_CLK = "NONE";
  parameter REG_INPUTB_CE = "CE0";
  parameter REG_INPUTB_RST = "RST0";
  parameter REG_OUTPUT_CLK = "NONE";
  parameter REG_OUTPUT_CE = "CE0";
  parameter REG_OUTPUT_RST = "RST0";
  parameter REG_PIPELINE_CLK = "NONE";
  parameter RESETMODE = "SYNC";
  parameter GSR = "DISABLED";

  initial
    if ((REG_INPUTA_CLK != "NONE" && REG_INPUTA_CLK != "CLK0") ||
        (REG_INPUTB_CLK != "NONE" && REG_INPUTB_CLK != "CLK0") ||
        (REG_OUTPUT_CLK != "NONE" && REG_OUTPUT_CLK != "CLK0") || REG_PIPELINE_CLK != "NONE" || RESETMODE != "SYNC" ||
        SOURCEA || SOURCEB)
      $fatal(1, "%m: sim/ecp5_cells.v has no model of this configuration of MULT18X18D");

  function automatic logic one_of(input [8*4-1:0] name, input i0, i1, i2, i3);
    case (name[7:0])  // CE0 to CE3, RST0 to RST3
      "0": one_of = i0;
      "1": one_of = i1;
      "2": one_of = i2;
      default: one_of = i3;
    endcase
  endfunction

  wire signed [18:0] a_now = {SIGNEDA & A17, A17, A16, A15, A14, A13, A12, A11, A10, A9, A8, A7, A6, A5, A4, A3,
      A2, A1, A0};
  wire signed [18:0] b_now = {SIGNEDB & B17, B17, B16, B15, B14, B13, B12, B11, B10, B9, B8, B7, B6, B5, B4, B3,
      B2, B1, B0};
  reg signed [18:0] a_held `ECP5_START, b_held `ECP5_START;
  reg [35:0] p_held `ECP5_START;
  wire signed [18:0] a = REG_INPUTA_CLK == "NONE" ? a_now : a_held;
  wire signed [18:0] b = REG_INPUTB_CLK == "NONE" ? b_now : b_held;
  wire signed [37:0] product = a * b;

  always @(posedge CLK0) begin
    if (one_of(REG_INPUTA_RST, RST0, RST1, RST2, RST3)) a_held <= 0;
    else if (one_of(REG_INPUTA_CE, CE0, CE1, CE2, CE3)) a_held <= a_now;
    if (one_of(REG_INPUTB_RST, RST0, RST1, RST2, RST3)) b_held <= 0;
    else if (one_of(REG_INPUTB_CE, CE0, CE1, CE2, CE3)) b_held <= b_now;
    if (one_of(REG_OUTPUT_RST, RST0, RST1, RST2, RST3)) p_held <= 0;
    else if (one_of(REG_OUTPUT_CE, CE0, CE1, CE2, CE3)) p_held <= product[35:0];
  end
  assign {P35, P34, P33, P32, P31, P30, P29, P28, P27, P26, P25, P24, P23, P22, P21, P20, P19, P18, P17, P16, P15,
      P14, P13, P12, P11, P10, P9, P8, P7, P6, P5, P4, P3, P2, P1, P0} =
    REG_OUTPUT_CLK == "NONE" ? product[35:0] : p_held;
endmodule

// 18 kbit of memory, 512 rows of 36 bits. A port has 1, 2, 4, 9 or 18 bits, or port A writes and port B reads whole
// rows. Ports of 1, 2 or 4 bits see eight bits of every nine; ADn0 and up enable the nines of 18 and 36 bits.
// What a port reads while the other writes it in the same cycle is undefined in the device; here it is the complement
// of what was there, so that nobody gets away with using it.
module DP16KD (
  input DIA17, DIA16, DIA15, DIA14, DIA13, DIA12, DIA11, DIA10, DIA9, DIA8, DIA7, DIA6, DIA5, DIA4, DIA3, DIA2,
        DIA1, DIA0,
  input ADA13, ADA12, ADA11, ADA10, ADA9, ADA8, ADA7, ADA6, ADA5, ADA4, ADA3, ADA2, ADA1, ADA0,
  input CLKA, CEA, OCEA, WEA, RSTA, CSA2, CSA1, CSA0,
  output DOA17, DOA16, DOA15, DOA14, DOA13, DOA12, DOA11, DOA10, DOA9, DOA8, DOA7, DOA6, DOA5, DOA4, DOA3, DOA2,
         DOA1, DOA0,
  input DIB17, DIB16, DIB15, DIB14, DIB13, DIB12, DIB11, DIB10, DIB9, DIB8, DIB7, DIB6, DIB5, DIB4, DIB3, DIB2,
        DIB1, DIB0,
  input ADB13, ADB12, ADB11, ADB10, ADB9, ADB8, ADB7, ADB6, ADB5, ADB4, ADB3, ADB2, ADB1, ADB0,
  input CLKB, CEB, OCEB, WEB, RSTB, CSB2, CSB1, CSB0,
  output DOB17, DOB16, DOB15, DOB14, DOB13, DOB12, DOB11, DOB10, DOB9, DOB8, DOB7, DOB6, DOB5, DOB4, DOB3, DOB2,
         DOB1, DOB0
);
  parameter DATA_WIDTH_A = 18;
  parameter DATA_WIDTH_B = 18;
  parameter REGMODE_A = "NOREG";
  parameter REGMODE_B = "NOREG";
  parameter CSDECODE_A = "0b000";
  parameter CSDECODE_B = "0b000";
  parameter WRITEMODE_A = "NORMAL";
  parameter WRITEMODE_B = "NORMAL";
  parameter CLKAMUX = "CLKA";
  parameter CLKBMUX = "CLKB";
  parameter OCEAMUX = "OCEA";
  parameter OCEBMUX = "OCEB";
  parameter RESETMODE = "SYNC";
  parameter ASYNC_RESET_RELEASE = "SYNC";
  parameter GSR = "DISABLED";
  parameter [319:0] INITVAL_00 = 0;
  parameter [319:0] INITVAL_01 = 0;
  parameter [319:0] INITVAL_02 = 0;
  parameter [319:0] INITVAL_03 = 0;
  parameter [319:0] INITVAL_04 = 0;
  parameter [319:0] INITVAL_05 = 0;
  parameter [319:0] INITVAL_06 = 0;
  parameter [319:0] INITVAL_07 = 0;
  parameter [319:0] INITVAL_08 = 0;
  parameter [319:0] INITVAL_09 = 0;
  parameter [319:0] INITVAL_0A = 0;
  parameter [319:0] INITVAL_0B = 0;
  parameter [319:0] INITVAL_0C = 0;
  parameter [319:0] INITVAL_0D = 0;
  parameter [319:0] INITVAL_0E = 0;
  parameter [319:0] INITVAL_0F = 0;
  parameter [319:0] INITVAL_10 = 0;
  parameter [319:0] INITVAL_11 = 0;
  parameter [319:0] INITVAL_12 = 0;
  parameter [319:0] INITVAL_13 = 0;
  parameter [319:0] INITVAL_14 = 0;
  parameter [319:0] INITVAL_15 = 0;
  parameter [319:0] INITVAL_16 = 0;
  parameter [319:0] INITVAL_17 = 0;
  parameter [319:0] INITVAL_18 = 0;
  parameter [319:0] INITVAL_19 = 0;
  parameter [319:0] INITVAL_1A = 0;
  parameter [319:0] INITVAL_1B = 0;
  parameter [319:0] INITVAL_1C = 0;
  parameter [319:0] INITVAL_1D = 0;
  parameter [319:0] INITVAL_1E = 0;
  parameter [319:0] INITVAL_1F = 0;
  parameter [319:0] INITVAL_20 = 0;
  parameter [319:0] INITVAL_21 = 0;
  parameter [319:0] INITVAL_22 = 0;
  parameter [319:0] INITVAL_23 = 0;
  parameter [319:0] INITVAL_24 = 0;
  parameter [319:0] INITVAL_25 = 0;
  parameter [319:0] INITVAL_26 = 0;
  parameter [319:0] INITVAL_27 = 0;
  parameter [319:0] INITVAL_28 = 0;
  parameter [319:0] INITVAL_29 = 0;
  parameter [319:0] INITVAL_2A = 0;
  parameter [319:0] INITVAL_2B = 0;
  parameter [319:0] INITVAL_2C = 0;
  parameter [319:0] INITVAL_2D = 0;
  parameter [319:0] INITVAL_2E = 0;
  parameter [319:0] INITVAL_2F = 0;
  parameter [319:0] INITVAL_30 = 0;
  parameter [319:0] INITVAL_31 = 0;
  parameter [319:0] INITVAL_32 = 0;
  parameter [319:0] INITVAL_33 = 0;
  parameter [319:0] INITVAL_34 = 0;
  parameter [319:0] INITVAL_35 = 0;
  parameter [319:0] INITVAL_36 = 0;
  parameter [319:0] INITVAL_37 = 0;
  parameter [319:0] INITVAL_38 = 0;
  parameter [319:0] INITVAL_39 = 0;
  parameter [319:0] INITVAL_3A = 0;
  parameter [319:0] INITVAL_3B = 0;
  parameter [319:0] INITVAL_3C = 0;
  parameter [319:0] INITVAL_3D = 0;
  parameter [319:0] INITVAL_3E = 0;
  parameter [319:0] INITVAL_3F = 0;
  // sixteen words of 18 bits each, in 20
  localparam [64*320-1:0] INIT = {
    INITVAL_3F, INITVAL_3E, INITVAL_3D, INITVAL_3C, INITVAL_3B, INITVAL_3A, INITVAL_39, INITVAL_38,
    INITVAL_37, INITVAL_36, INITVAL_35, INITVAL_34, INITVAL_33, INITVAL_32, INITVAL_31, INITVAL_30,
    INITVAL_2F, INITVAL_2E, INITVAL_2D, INITVAL_2C, INITVAL_2B, INITVAL_2A, INITVAL_29, INITVAL_28,
    INITVAL_27, INITVAL_26, INITVAL_25, INITVAL_24, INITVAL_23, INITVAL_22, INITVAL_21, INITVAL_20,
    INITVAL_1F, INITVAL_1E, INITVAL_1D, INITVAL_1C, INITVAL_1B, INITVAL_1A, INITVAL_19, INITVAL_18,
    INITVAL_17, INITVAL_16, INITVAL_15, INITVAL_14, INITVAL_13, INITVAL_12, INITVAL_11, INITVAL_10,
    INITVAL_0F, INITVAL_0E, INITVAL_0D, INITVAL_0C, INITVAL_0B, INITVAL_0A, INITVAL_09, INITVAL_08,
    INITVAL_07, INITVAL_06, INITVAL_05, INITVAL_04, INITVAL_03, INITVAL_02, INITVAL_01, INITVAL_00
  };
  localparam ROWS = DATA_WIDTH_A == 36;  // port A writes whole rows, port B reads them

  initial
    if ((DATA_WIDTH_A == 36) != (DATA_WIDTH_B == 36) || CSDECODE_A != "0b000" || CSDECODE_B != "0b000" ||
        WRITEMODE_A == "WRITETHROUGH" || WRITEMODE_B == "WRITETHROUGH" || CLKAMUX != "CLKA" || CLKBMUX != "CLKB" ||
        (RESETMODE != "SYNC" && (RSTA || RSTB)) || (REGMODE_A != "NOREG" && RSTA) || (REGMODE_B != "NOREG" && RSTB) ||
        (ROWS && WEB))
      $fatal(1, "%m: sim/ecp5_cells.v has no model of this configuration of DP16KD");

  reg [35:0] rows [0:511];
  integer row, i, j;
`ifdef RANDOM_START
  initial if (INIT != 0)
`else
  initial
`endif
    for (row = 0; row < 512; row = row + 1)
      rows[row] = {INIT[40 * row + 20 +: 18], INIT[40 * row +: 18]};

  wire [17:0] dia = {DIA17, DIA16, DIA15, DIA14, DIA13, DIA12, DIA11, DIA10, DIA9, DIA8, DIA7, DIA6, DIA5, DIA4,
      DIA3, DIA2, DIA1, DIA0};
  wire [17:0] dib = {DIB17, DIB16, DIB15, DIB14, DIB13, DIB12, DIB11, DIB10, DIB9, DIB8, DIB7, DIB6, DIB5, DIB4,
      DIB3, DIB2, DIB1, DIB0};
  wire [13:0] ada = {ADA13, ADA12, ADA11, ADA10, ADA9, ADA8, ADA7, ADA6, ADA5, ADA4, ADA3, ADA2, ADA1, ADA0};
  wire [13:0] adb = {ADB13, ADB12, ADB11, ADB10, ADB9, ADB8, ADB7, ADB6, ADB5, ADB4, ADB3, ADB2, ADB1, ADB0};

  // Where the addressed bits begin in their row.
  function automatic [5:0] start(input integer width, input [13:0] address);
    case (width)
      1: start = 9 * address[4:3] + address[2:0];
      2: start = 9 * address[4:3] + 2 * address[2:1];
      4: start = 9 * address[4:3] + 4 * address[2];
      9: start = 9 * address[4:3];
      18: start = 18 * address[4];
      default: start = 0;
    endcase
  endfunction

  // The bits of its row that a port writes.
  function automatic [35:0] written(input integer width, input [13:0] address);
    case (width)
      36: written = {{9{address[3]}}, {9{address[2]}}, {9{address[1]}}, {9{address[0]}}};
      18: written = {18'b0, {9{address[1]}}, {9{address[0]}}} << start(width, address);
      default: written = ((36'b1 << width) - 36'b1) << start(width, address);
    endcase
  endfunction

  wire [35:0] a_mask = CEA && WEA && !(CSA2 || CSA1 || CSA0) ? written(DATA_WIDTH_A, ada) : 36'b0;
  wire [35:0] b_mask = CEB && WEB && !(CSB2 || CSB1 || CSB0) ? written(DATA_WIDTH_B, adb) : 36'b0;
  wire [35:0] a_data = ROWS ? {dib, dia} : {18'b0, dia} << start(DATA_WIDTH_A, ada);
  wire [35:0] b_data = {18'b0, dib} << start(DATA_WIDTH_B, adb);
  wire same_row = ada[13:5] == adb[13:5];
  wire [35:0] a_row = rows[ada[13:5]] ^ (same_row ? b_mask : 36'b0);
  wire [35:0] b_row = rows[adb[13:5]] ^ (same_row ? a_mask : 36'b0);
  wire [17:0] a_width = (18'b1 << DATA_WIDTH_A) - 18'b1;
  wire [17:0] b_width = (18'b1 << DATA_WIDTH_B) - 18'b1;
  reg [35:0] a_read `ECP5_START, b_read `ECP5_START, a_held `ECP5_START, b_held `ECP5_START;

  always @(posedge CLKA) begin
    for (i = 0; i < 36; i = i + 1) if (a_mask[i]) rows[ada[13:5]][i] <= a_data[i];
    if (RSTA) a_read <= 0;
    else if (CEA && !(CSA2 || CSA1 || CSA0) && (!WEA || WRITEMODE_A == "READBEFOREWRITE"))
      a_read <= (a_row >> start(DATA_WIDTH_A, ada)) & {18'b0, a_width};
    if (OCEA ^ (OCEAMUX == "INV")) a_held <= a_read;
  end
  always @(posedge CLKB) begin
    for (j = 0; j < 36; j = j + 1) if (b_mask[j]) rows[adb[13:5]][j] <= b_data[j];
    if (RSTB) b_read <= 0;
    else if (CEB && !(CSB2 || CSB1 || CSB0) && (!WEB || WRITEMODE_B == "READBEFOREWRITE"))
      b_read <= ROWS ? b_row : (b_row >> start(DATA_WIDTH_B, adb)) & {18'b0, b_width};
    if (OCEB ^ (OCEBMUX == "INV")) b_held <= b_read;
  end

  wire [35:0] a_out = REGMODE_A == "NOREG" ? a_read : a_held;
  wire [35:0] b_out = REGMODE_B == "NOREG" ? b_read : b_held;
  assign {DOA17, DOA16, DOA15, DOA14, DOA13, DOA12, DOA11, DOA10, DOA9, DOA8, DOA7, DOA6, DOA5, DOA4, DOA3, DOA2,
      DOA1, DOA0} =
    ROWS ? b_out[17:0] : a_out[17:0];
  assign {DOB17, DOB16, DOB15, DOB14, DOB13, DOB12, DOB11, DOB10, DOB9, DOB8, DOB7, DOB6, DOB5, DOB4, DOB3, DOB2,
      DOB1, DOB0} =
    ROWS ? b_out[35:18] : b_out[17:0];
endmodule
