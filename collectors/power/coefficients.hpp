// Watts of a server per hardware thread, idle and at full load, by the microarchitecture of its CPU. Pure; any thread.
//
// Source: Cloud Carbon Footprint's means over SPECpower_ssj2008 results, "avg. watts @ active idle" and "avg. watts @
// 100%" divided by the threads of the tested system: github.com/cloud-carbon-footprint/ccf-coefficients,
// output/coefficients-aws-use.csv at b0032d92 (results up to 2026-03-09). For CPUs that are not in it, the averages of
// its calculator: github.com/cloud-carbon-footprint/cloud-carbon-footprint,
// packages/aws/src/domain/AwsFootprintEstimationConstants.ts at 0656d555 (MIN_WATTS_AVG, MAX_WATTS_AVG).
//
// Meaning: SPECpower measures the wall power of a whole server without accelerators, so a thread's share includes power
// supply, board, memory and fans of the tested configuration.
// Error: no published comparison of this model with meters was found. Most of the underlying results that were checked
// are within half of their mean (dense EPYC 4th generation systems idle at a third of it), hence the stated +-50 %.
//
// Published numbers that are not used because they cannot be right: EPYC 5th generation (3.68 and 8.96 W per thread),
// since the two results with an EPYC 9965 in data/SPECpower-2026-03-09.csv of the same revision give 0.20 and 1.04 W;
// the 4th generation's are used. Graviton's are a copy of EPYC 2nd generation and were never measured; the average is
// used.
#pragma once

#include <string>
#include <string_view>

namespace perjoule {

// The first processor of /proc/cpuinfo. Missing numbers are 0 and missing strings empty (ARM has neither).
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
  std::string_view note;             // why it is not this CPU's own; "" where it is
};

// By vendor, family, model and stepping (Linux: arch/x86/include/asm/intel-family.h, arch/x86/kernel/cpu/amd.c), else
// by the words that QEMU puts into the model name ("EPYC-Rome", "Xeon Processor (Icelake)").
[[nodiscard]] CoefficientsChoice choose_coefficients(const CpuIdentity& cpu);

// Watts of `threads` hardware threads that are busy for `utilization` (0 to 1) of the time: linear between idle and
// full load.
struct PowerLine {
  double idle_watts = 0;  // of one thread
  double max_watts = 0;
};
[[nodiscard]] double modelled_watts(const PowerLine& thread, unsigned threads, double utilization);

}  // namespace perjoule
