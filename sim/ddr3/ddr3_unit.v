// SPDX-License-Identifier: Apache-2.0
// The AXI4 reader at the port of a DDR3 controller; the port's other half and the registers are the harness's.
module unit (
    input wire clk, input wire rst,
    // registers, Wishbone
    input wire bus_valid, input wire bus_write, input wire [29:0] bus_address, input wire [31:0] bus_data,
    output wire bus_done, output wire [31:0] bus_answer,
    // writes
    input wire aw_valid, output wire aw_ready, input wire [31:0] aw_address, input wire [7:0] aw_length,
    input wire w_valid, output wire w_ready, input wire w_last, input wire [127:0] w_data,
    output wire b_valid,
    // runs
    input wire run_valid, output wire run_ready, input wire [31:0] run_address, input wire [22:0] run_beats,
    output wire beat_valid, output wire beat_last, output wire [127:0] beat,
    output wire error
);
  wire [`BYTE_BITS-1:0] araddr;
  wire [2:0] arsize;
  wire [7:0] arlen;
  wire [1:0] arburst, rresp;
  wire arid, arvalid, arready, rid, rlast, rvalid, rready;
  wire [127:0] rdata;

  reader reader (
      .clk(clk), .rst(rst),
      .runs__valid(run_valid), .runs__ready(run_ready),
      .runs__payload({1'b1, run_beats, run_address[`BYTE_BITS-5:0]}),
      .axi__arid(arid), .axi__araddr(araddr), .axi__arlen(arlen), .axi__arsize(arsize), .axi__arburst(arburst),
      .axi__arlock(), .axi__arcache(), .axi__arprot(), .axi__arvalid(arvalid), .axi__arready(arready),
      .axi__rid(rid), .axi__rdata(rdata), .axi__rresp(rresp), .axi__rlast(rlast), .axi__rvalid(rvalid),
      .axi__rready(rready),
      .beats__tvalid(beat_valid), .beats__tready(1'b1), .beats__tdata(beat), .beats__tlast(beat_last), .error(error));

  ddr3 controller (
      .clk(clk), .rst(rst),
      .control_cyc(bus_valid), .control_stb(bus_valid), .control_we(bus_write), .control_adr(bus_address),
      .control_dat_w(bus_data), .control_sel(4'b1111), .control_cti(3'b0), .control_bte(2'b0),
      .control_ack(bus_done), .control_dat_r(bus_answer), .control_err(),
      .user_port_axi_awvalid(aw_valid), .user_port_axi_awready(aw_ready),
      .user_port_axi_awaddr(aw_address[`BYTE_BITS-1:0]), .user_port_axi_awburst(2'd1), .user_port_axi_awlen(aw_length),
      .user_port_axi_awsize(4'd4), .user_port_axi_awid(1'b0),
      .user_port_axi_wvalid(w_valid), .user_port_axi_wready(w_ready), .user_port_axi_wlast(w_last),
      .user_port_axi_wstrb(16'hffff), .user_port_axi_wdata(w_data),
      .user_port_axi_bvalid(b_valid), .user_port_axi_bready(1'b1), .user_port_axi_bresp(), .user_port_axi_bid(),
      .user_port_axi_arvalid(arvalid), .user_port_axi_arready(arready), .user_port_axi_araddr(araddr),
      .user_port_axi_arburst(arburst), .user_port_axi_arlen(arlen), .user_port_axi_arsize({1'b0, arsize}),
      .user_port_axi_arid(arid),
      .user_port_axi_rvalid(rvalid), .user_port_axi_rready(rready), .user_port_axi_rlast(rlast),
      .user_port_axi_rresp(rresp), .user_port_axi_rdata(rdata), .user_port_axi_rid(rid),
      // the pins of a memory that is inside
      .ddram_a(), .ddram_ba(), .ddram_cas_n(), .ddram_cke(), .ddram_clk_p(), .ddram_dm(), .ddram_dq(),
      .ddram_dqs_p(), .ddram_odt(), .ddram_ras_n(), .ddram_we_n(),
      .init_done(), .init_error(), .user_clk(), .user_rst());
endmodule
