// SPDX-License-Identifier: Apache-2.0
// Adit: AditLinux

/// Where outer datagrams come from and go to: a UDP socket pair, or an embedder's own transport. Used by one thread.
public protocol DatagramTransport: AnyObject {
    /// Descriptors of which one is readable as long as ``receive(into:)`` would return datagrams: the worker may sleep
    /// although there are more, and asks only what epoll names.
    var descriptors: [CInt] { get }

    /// Fills `batch` with what is there, without waiting; `batch.count` is 0 when nothing was.
    func receive(into batch: DatagramBatch) -> DeviceResult

    // SAFETY: the runs and the bytes they point to are lent for the call.
    /// Sends every run in order; returns how many datagrams the kernel did not take (lost, to be counted).
    func send(_ runs: UnsafeBufferPointer<OutgoingRun>) -> Int

    /// How many datagrams were received but could not be understood; 0 unless the transport counts them.
    var unreadable: UInt64 { get }
}

extension DatagramTransport {
    /// Not counted.
    public var unreadable: UInt64 { 0 }
}
