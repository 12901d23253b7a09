// SPDX-License-Identifier: Apache-2.0
// Adit: Benchmarks

import BenchmarkSubjects
import CCounting
import Glibc

// hotpath [counts|ratios|splits|lookups|all]
// hotpath walk tcp|large|small BATCHES [unsummed]    both walks once, nothing measured: for callgrind
//
// Counts allocations, locks and reference counting of both packet walks in a steady state, and what SAs leave behind;
// measures sealing and opening against bare libcrypto in the same process, and lookups in small and large tables. Exit
// status 1 when a limit is passed.

let what = CommandLine.arguments.dropFirst().first ?? "all"
var verdict = Verdict()
if what == "counts" || what == "all" { try counts(&verdict) }
if what == "ratios" || what == "all" { try ratios(&verdict) }
if what == "splits" || what == "all" { splits(&verdict) }
if what == "lookups" || what == "all" { try lookups(&verdict) }
if what == "walk" { try walk(Array(CommandLine.arguments.dropFirst(2))) }
exit(verdict.isGood ? 0 : 1)
