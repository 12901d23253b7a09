// SPDX-License-Identifier: Apache-2.0
// Adit: AditIKE

/// What becomes of a connection's SAs when another configuration of the same name takes its place.
///
/// The one place where this is decided: ``IKECommand/configure(_:)`` does it, and a plan shows it before that.
public struct ConnectionChange: Sendable, Equatable {
    /// What becomes of the IKE SAs, and of a connection's children with them.
    public enum Effect: String, Sendable {
        /// Nothing changed.
        case unchanged
        /// The IKE SAs stay, with their SPIs; what changed is in force at once. See ``ConnectionChange/children``.
        case kept
        /// Something changed that IKE_SA_INIT or IKE_AUTH agreed or proved: all SAs are deleted and made anew.
        case replaced
    }

    /// What becomes of one child.
    public struct Child: Sendable, Equatable {
        /// The child's name.
        public var name: String
        /// What becomes of its SAs.
        public var effect: ChildEffect
    }

    /// What becomes of a child's SAs.
    public enum ChildEffect: String, Sendable {
        /// Nothing changed.
        case unchanged
        /// They stay, with their SPIs; the new values are in force at once.
        case adopted
        /// They are rekeyed, without a gap: the data plane takes the new values with the next pair of SAs.
        case rekeyed
        /// They are deleted and, where they were up or start by themselves, made anew.
        case replaced
        /// The child is new, and comes up as its start action says.
        case added
        /// They are deleted.
        case removed
    }

    /// What becomes of the IKE SAs.
    public let effect: Effect
    /// The children of the new configuration, in its order, then those that are removed.
    public let children: [Child]

    /// The way from `old` to `new`, which has the same name.
    public init(from old: ConnectionConfiguration, to new: ConnectionConfiguration) {
        guard old != new else {
            effect = .unchanged
            children = new.children.map { Child(name: $0.name, effect: .unchanged) }
            return
        }
        let names = (old: Set(old.children.map(\.name)), new: Set(new.children.map(\.name)))
        // Children are told apart by their names alone.
        let areDistinct = names.old.count == old.children.count && names.new.count == new.children.count
        let keepsIKE = areDistinct && old.continues(under: new)
        let before = Dictionary(old.children.map { ($0.name, $0) }) { first, _ in first }
        effect = keepsIKE ? .kept : .replaced
        children =
            new.children.map { child in
                guard let known = before[child.name] else { return Child(name: child.name, effect: .added) }
                return Child(name: child.name, effect: keepsIKE ? known.effect(of: child) : .replaced)
            }
            + old.children.filter { !names.new.contains($0.name) }.map { Child(name: $0.name, effect: .removed) }
    }

    /// What becomes of the child called `name`; nil when there is none, before or after.
    public func effect(on name: String) -> ChildEffect? { children.first { $0.name == name }?.effect }

    /// Whether the SAs of a child are deleted and made anew.
    func replaces(_ name: String) -> Bool { effect(on: name) == .replaced }
}

extension ConnectionConfiguration {
    /// Whether an IKE SA made under this configuration goes on under `other`: they differ at most in the children, and
    /// in what is neither agreed nor proved when an IKE SA is made.
    ///
    /// `reauthTime` is no such value: the responder announces it in IKE_AUTH (RFC 4478 §3). What is not named here
    /// needs a new IKE SA, so a property that is added is safe.
    fileprivate func continues(under other: ConnectionConfiguration) -> Bool {
        var adopted = self
        adopted.children = other.children
        adopted.dpdDelay = other.dpdDelay
        adopted.dpdAction = other.dpdAction
        adopted.ikeRekeyTime = other.ikeRekeyTime
        // Who wins is decided when the next IKE SA comes.
        adopted.unique = other.unique
        return adopted == other
    }
}

extension ChildConfiguration {
    /// What becomes of Child SAs made under this configuration when `other` takes its place.
    fileprivate func effect(of other: ChildConfiguration) -> ConnectionChange.ChildEffect {
        guard self != other else { return .unchanged }
        // Our own timing, and what is asked for next time.
        var adopted = self
        adopted.startAction = other.startAction
        adopted.asksForPacket = other.asksForPacket
        adopted.inactivity = other.inactivity
        adopted.rekeyTime = other.rekeyTime
        if adopted == other { return .adopted }
        // What the data plane does by itself, and takes with a pair of SAs: the peer knows nothing of it.
        adopted.rekeyBytes = other.rekeyBytes
        adopted.rekeyPackets = other.rekeyPackets
        adopted.replayWindow = other.replayWindow
        adopted.clampMSS = other.clampMSS
        adopted.copyDSCP = other.copyDSCP
        adopted.copyECN = other.copyECN
        // Selectors, proposals and ESN are agreed with the peer.
        return adopted == other ? .rekeyed : .replaced
    }
}
