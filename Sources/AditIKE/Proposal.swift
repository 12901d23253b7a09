// SPDX-License-Identifier: Apache-2.0
// Adit: AditIKE

/// One proposal of an SA payload as values (RFC 7296 §3.3): transforms of each type in order of preference.
///
/// Numbers are IANA's and may be unknown to us: a peer's offer survives parsing, for ``FailureReport``.
public struct Proposal: Hashable, Sendable {
    /// What the proposal protects.
    public var securityProtocol: SecurityProtocol
    /// The transforms, grouped by type on the wire, in order of preference within a type.
    public var transforms: [Transform]

    /// A proposal of `transforms`.
    public init(_ securityProtocol: SecurityProtocol, _ transforms: [Transform]) {
        self.securityProtocol = securityProtocol
        self.transforms = transforms
    }
}

/// A protocol identifier (RFC 7296 §3.3.1).
public struct SecurityProtocol: RawRepresentable, Hashable, Sendable {
    /// IANA's number.
    public let rawValue: UInt8
    /// Wraps a number, also one we do not know.
    public init(rawValue: UInt8) { self.rawValue = rawValue }
    /// IKE.
    public static let ike = SecurityProtocol(rawValue: 1)
    /// AH, which Adit never negotiates.
    public static let ah = SecurityProtocol(rawValue: 2)
    /// ESP.
    public static let esp = SecurityProtocol(rawValue: 3)
}

/// One transform (RFC 7296 §3.3.2).
public struct Transform: Hashable, Sendable {
    /// A transform type (RFC 7296 §3.3.2).
    public struct Kind: RawRepresentable, Hashable, Sendable {
        /// IANA's number.
        public let rawValue: UInt8
        /// Wraps a number, also one we do not know.
        public init(rawValue: UInt8) { self.rawValue = rawValue }
        /// ENCR.
        public static let encryption = Kind(rawValue: 1)
        /// PRF.
        public static let pseudoRandomFunction = Kind(rawValue: 2)
        /// INTEG.
        public static let integrity = Kind(rawValue: 3)
        /// Key exchange method (D-H).
        public static let keyExchange = Kind(rawValue: 4)
        /// ESN.
        public static let sequenceNumbers = Kind(rawValue: 5)
    }

    /// The type.
    public var kind: Kind
    /// IANA's number within the type.
    public var id: UInt16
    /// The key length attribute in bits, where the algorithm has one.
    public var keyLength: UInt16?
    /// Attributes that we do not know: a transform that has one is never chosen (RFC 7296 §3.3.6).
    public var otherAttributes: [Attribute]

    /// A transform attribute (RFC 7296 §3.3.5).
    public struct Attribute: Hashable, Sendable {
        /// The type with its format bit (0x8000: a value of two bytes without a length).
        public var type: UInt16
        /// The value.
        public var value: [UInt8]
    }

    /// A transform.
    public init(_ kind: Kind, _ id: UInt16, keyLength: UInt16? = nil) {
        self.kind = kind
        self.id = id
        self.keyLength = keyLength
        self.otherAttributes = []
    }
}
