// SPDX-License-Identifier: Apache-2.0
// Adit: Adit

internal import AditCrypto
internal import AditIKE

extension EntropySource {
    /// The operating system's generator, through libcrypto's.
    static let system = EntropySource { count in SystemRandom.bytes(count) }
}
