// Watts of a server per hardware thread, idle and at full load, by the microarchitecture of its CPU. Pure; any thread.
//
// Where the numbers come from: Cloud Carbon Footprint's means over SPECpower_ssj2008 results, "avg. watts @ active
// idle" and "avg. watts @ 100%" divided by the threads of the tested system: github.com/cloud-carbon-footprint/
// ccf-coefficients, output/coefficients-aws-use.csv at b0032d92 (results up to 2026-03-09). For CPUs that it does not
// know, the averages that its calculator takes: github.com/cloud-carbon-footprint/cloud-carbon-footprint,
// packages/aws/src/domain/AwsFootprintEstimationConstants.ts at 0656d555 (MIN_WATTS_AVG, MAX_WATTS_AVG).
//
// What they mean: SPECpower measures the wall power of a whole server, so that a thread's share holds power supply,
// board, memory and fans of the tested configuration. No accelerators. A published comparison of this model with meters
// was not found. Of the results behind it that were looked at, most lie within half of their mean (idle power of dense
// EPYC 4th generation systems is a third of it), hence the error that is stated: +-50 %.
//
// Left out, because the published number can not be right: EPYC 5th generation (3.68 and 8.96 W per thread), while the
// two results with an EPYC 9965 in data/SPECpower-2026-03-09.csv of the same revision give 0.20 and 1.04 W; it takes
// the 4th generation's. Graviton: copied there from EPYC 2nd generation, never measured; it takes the average.
#pragma once

#include <string>
#include <string_view>

namespace perjoule {

// The first processor of /proc/cpuinfo; numbers that are not there are 0, texts empty (ARM has neither).
struct CpuIdentity {
  std::string vendor;  // vendor_id: "GenuineIntel", "AuthenticAMD"
  unsigned family = 0;
  unsigned model = 0;
  unsigned stepping = 0;
  std::string name;  // model name
};
[[nodiscard]] CpuIdentity parse_cpu_identity(std::string_view cpuinfo);

struct Coefficients {
  std::string_view microarchitecture;  // whose numbers these are; "average of all" for an unknown CPU
  double idle_watts = 0;               // per thread
  double max_watts = 0;
};

struct CoefficientsChoice {
  const Coefficients* coefficients;  // never null
  std::string_view note;             // why not the CPU's own; "" where they are
};

// By vendor, family, model and stepping (Linux: arch/x86/include/asm/intel-family.h, arch/x86/kernel/cpu/amd.c), else
// by the words that QEMU puts into the model name ("EPYC-Rome", "Xeon Processor (Icelake)").
[[nodiscard]] CoefficientsChoice choose_coefficients(const CpuIdentity& cpu);

// Watts of `threads` hardware threads that are busy for `utilization` (0 to 1) of the time: a line from idle to full.
struct PowerLine {
  double idle_watts = 0;  // of one thread
  double max_watts = 0;
};
[[nodiscard]] double modelled_watts(const PowerLine& thread, unsigned threads, double utilization);

}  // namespace perjoule
