// SPDX-License-Identifier: Apache-2.0
// Adit: AditIKE

internal import AditCrypto
internal import AditWire

extension IKEEndpoint {
    /// A fresh private value of `group`; nil when libcrypto does not have it.
    func makeKeyExchange(_ group: KeyExchangeGroup) -> KeyExchange? {
        try? KeyExchange(group: group, entropy: entropy.secret(group.privateLength))
    }

    /// The keys of an IKE SA and what protects its messages; `role` is ours in it.
    mutating func makeKeying(
        _ choice: ProposalChoice, _ skeyseed: SecretBytes, _ inputs: KeyInputs, role: IKEReport.Role,
        fragmentation: Bool
    ) -> (IKEKeying, IKESAKeys)? {
        let keys = KeySchedule.ikeSAKeys(
            prf: choice.pseudoRandomFunction, suite: choice.suite, skeyseed: skeyseed, inputs: inputs)
        if disclosesKeys {
            effects.append(
                .disclose(
                    IKEKeyDisclosure(
                        initiatorSPI: inputs.initiatorSPI, responderSPI: inputs.responderSPI, suite: choice.suite,
                        keys: keys)))
        }
        let (ours, theirs) =
            role == .initiator
            ? (keys.initiatorProtection, keys.responderProtection)
            : (keys.responderProtection, keys.initiatorProtection)
        guard let sealer = try? SKSealer(suite: choice.suite, key: ours),
            let opener = try? SKOpener(suite: choice.suite, key: theirs)
        else { return nil }
        let keying = IKEKeying(
            choice: choice, skD: keys.skD, sealer: sealer, opener: opener, fragmentation: fragmentation)
        return (keying, keys)
    }

    /// An SPI that names no IKE SA here.
    func newIKESPI() -> IKESPI {
        while true {
            let spi = IKESPI(rawValue: entropy.integer64())
            if spi != .zero, !ikeSAs.contains(spi) { return spi }
        }
    }

    /// An SPI that names no Child SA here, now belonging to `owner`.
    ///
    /// All SPIs of one IKE SA and its successors share their low byte, by which datagrams are steered to a worker.
    mutating func newSPI(owner: IKESA) -> SPI {
        while true {
            let spi = SPI(rawValue: entropy.integer32() & ~0xff | UInt32(owner.steeringByte))
            guard !spi.isReserved, childOwners[spi] == nil else { continue }
            childOwners[spi] = owner.spi
            return spi
        }
    }

    /// The low byte of the SPIs of an IKE SA that begins at this address of the peer.
    ///
    /// The kernel joins datagrams of one sender whatever their SPIs, and a worker cannot open what is another's: so the
    /// IKE SAs of one address share a worker. Nobody outside can tell which, nor choose addresses that meet there.
    func steeringByte(of peer: IPAddress) -> UInt8 {
        let mac = PseudoRandomFunction.hmacSHA256(key: steeringKey, peer.bytes)
        return unsafe mac.withUnsafeBytes { unsafe $0.first } ?? 0
    }

    /// `duration` less a random part of up to a tenth (RFC 7296 §2.8.1: rekeying is jittered).
    func jittered(_ duration: Duration) -> Duration {
        duration - duration / 10 * Double(entropy.integer32() % 1000) / 1000
    }

    /// `duration` plus or minus up to a tenth.
    func near(_ duration: Duration) -> Duration {
        duration * (0.9 + Double(entropy.integer32() % 1000) / 5000)
    }

    /// `duration` plus or minus up to a quarter.
    func spread(_ duration: Duration) -> Duration {
        duration * (0.75 + Double(entropy.integer32() % 1000) / 2000)
    }
}
