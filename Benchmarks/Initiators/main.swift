// SPDX-License-Identifier: Apache-2.0
// Adit: Benchmarks

import AditWire
import Glibc

// Initiators RESPONDER FIRST-SOURCE SOURCES COUNT PARALLEL
//
// Simulated gateways, each with an identity and an inner address (10.64.0.0 and on) of its own, that set up an IKE SA
// and a Child SA with one responder, from SOURCES addresses beginning with FIRST-SOURCE. The IKE machine, the messages
// and the sockets are real; packets are only sent when asked for. Commands are lines on standard input, answers are
// lines of JSON:
//
//   connect       sets all up, PARALLEL at a time
//   ping N        an ICMP echo to 10.88.0.1 through each of N tunnels, and how many were answered
//   seconds N     answers what comes for N seconds; what the responder asked for in each of them
//   quit

let words = CommandLine.arguments
guard words.count == 6, let responder = IPAddress(words[1]), let first = IPAddress(words[2]),
    let sources = Int(words[3]),
    let count = Int(words[4]), let parallel = Int(words[5]), (1...64).contains(sources),
    (1...1_000_000).contains(count),
    parallel > 0
else {
    print("usage: Initiators RESPONDER FIRST-SOURCE SOURCES COUNT PARALLEL")
    exit(2)
}
let fleet = try Fleet(responder: responder, first: first, sources: sources, count: count, parallel: parallel)
while let line = readLine() {
    let command = line.split(separator: " ").map(String.init)
    switch (command.first, command.dropFirst().first.flatMap { Int($0) }) {
    case ("connect", nil): print(fleet.connect())
    case ("ping", .some(let number)): print(fleet.ping(number))
    case ("seconds", .some(let number)): print(fleet.serve(seconds: number))
    case ("quit", nil): exit(0)
    default: print(#"{"error": "unknown command"}"#)
    }
    fflush(nil)
}
