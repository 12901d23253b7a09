// SPDX-License-Identifier: Apache-2.0
// Adit: AditIKE

/// A notify message type (RFC 7296 §3.10.1, IANA): errors below 16384, statuses from there on.
public struct NotifyType: RawRepresentable, Hashable, Sendable, CustomStringConvertible {
    /// IANA's number.
    public let rawValue: UInt16
    /// Wraps a number, also one that we do not know.
    public init(rawValue: UInt16) { self.rawValue = rawValue }

    /// Whether this is an error: in a response an unknown one means that the request failed (RFC 7296 §3.10.1).
    public var isError: Bool { rawValue < 16384 }

    /// The RFC's name, or the number.
    public var description: String { Self.names[rawValue] ?? "notify \(rawValue)" }
}

// Error types.
extension NotifyType {
    /// UNSUPPORTED_CRITICAL_PAYLOAD.
    public static let unsupportedCriticalPayload = NotifyType(rawValue: 1)
    /// INVALID_IKE_SPI.
    public static let invalidIKESPI = NotifyType(rawValue: 4)
    /// INVALID_MAJOR_VERSION.
    public static let invalidMajorVersion = NotifyType(rawValue: 5)
    /// INVALID_SYNTAX.
    public static let invalidSyntax = NotifyType(rawValue: 7)
    /// INVALID_MESSAGE_ID.
    public static let invalidMessageID = NotifyType(rawValue: 9)
    /// INVALID_SPI.
    public static let invalidSPI = NotifyType(rawValue: 11)
    /// NO_PROPOSAL_CHOSEN.
    public static let noProposalChosen = NotifyType(rawValue: 14)
    /// INVALID_KE_PAYLOAD.
    public static let invalidKEPayload = NotifyType(rawValue: 17)
    /// AUTHENTICATION_FAILED.
    public static let authenticationFailed = NotifyType(rawValue: 24)
    /// SINGLE_PAIR_REQUIRED.
    public static let singlePairRequired = NotifyType(rawValue: 34)
    /// NO_ADDITIONAL_SAS.
    public static let noAdditionalSAs = NotifyType(rawValue: 35)
    /// INTERNAL_ADDRESS_FAILURE.
    public static let internalAddressFailure = NotifyType(rawValue: 36)
    /// FAILED_CP_REQUIRED.
    public static let failedCPRequired = NotifyType(rawValue: 37)
    /// TS_UNACCEPTABLE.
    public static let tsUnacceptable = NotifyType(rawValue: 38)
    /// INVALID_SELECTORS.
    public static let invalidSelectors = NotifyType(rawValue: 39)
    /// UNACCEPTABLE_ADDRESSES (RFC 4555).
    public static let unacceptableAddresses = NotifyType(rawValue: 40)
    /// UNEXPECTED_NAT_DETECTED (RFC 4555).
    public static let unexpectedNATDetected = NotifyType(rawValue: 41)
    /// USE_ASSIGNED_HoA (RFC 5026).
    public static let useAssignedHoA = NotifyType(rawValue: 42)
    /// TEMPORARY_FAILURE.
    public static let temporaryFailure = NotifyType(rawValue: 43)
    /// CHILD_SA_NOT_FOUND.
    public static let childSANotFound = NotifyType(rawValue: 44)
    /// INVALID_GROUP_ID (RFC 9838).
    public static let invalidGroupID = NotifyType(rawValue: 45)
    /// AUTHORIZATION_FAILED (RFC 9838).
    public static let authorizationFailed = NotifyType(rawValue: 46)
    /// STATE_NOT_FOUND (RFC 9370).
    public static let stateNotFound = NotifyType(rawValue: 47)
    /// TS_MAX_QUEUE (RFC 9611).
    public static let tsMaxQueue = NotifyType(rawValue: 48)
}

// Status types.
extension NotifyType {
    /// INITIAL_CONTACT.
    public static let initialContact = NotifyType(rawValue: 16384)
    /// SET_WINDOW_SIZE.
    public static let setWindowSize = NotifyType(rawValue: 16385)
    /// ADDITIONAL_TS_POSSIBLE.
    public static let additionalTSPossible = NotifyType(rawValue: 16386)
    /// IPCOMP_SUPPORTED.
    public static let ipcompSupported = NotifyType(rawValue: 16387)
    /// NAT_DETECTION_SOURCE_IP.
    public static let natDetectionSourceIP = NotifyType(rawValue: 16388)
    /// NAT_DETECTION_DESTINATION_IP.
    public static let natDetectionDestinationIP = NotifyType(rawValue: 16389)
    /// COOKIE.
    public static let cookie = NotifyType(rawValue: 16390)
    /// USE_TRANSPORT_MODE.
    public static let useTransportMode = NotifyType(rawValue: 16391)
    /// HTTP_CERT_LOOKUP_SUPPORTED.
    public static let httpCertLookupSupported = NotifyType(rawValue: 16392)
    /// REKEY_SA.
    public static let rekeySA = NotifyType(rawValue: 16393)
    /// ESP_TFC_PADDING_NOT_SUPPORTED.
    public static let espTFCPaddingNotSupported = NotifyType(rawValue: 16394)
    /// NON_FIRST_FRAGMENTS_ALSO.
    public static let nonFirstFragmentsAlso = NotifyType(rawValue: 16395)
    /// MOBIKE_SUPPORTED (RFC 4555).
    public static let mobikeSupported = NotifyType(rawValue: 16396)
    /// ADDITIONAL_IP4_ADDRESS (RFC 4555).
    public static let additionalIPv4Address = NotifyType(rawValue: 16397)
    /// ADDITIONAL_IP6_ADDRESS (RFC 4555).
    public static let additionalIPv6Address = NotifyType(rawValue: 16398)
    /// NO_ADDITIONAL_ADDRESSES (RFC 4555).
    public static let noAdditionalAddresses = NotifyType(rawValue: 16399)
    /// UPDATE_SA_ADDRESSES (RFC 4555).
    public static let updateSAAddresses = NotifyType(rawValue: 16400)
    /// COOKIE2 (RFC 4555).
    public static let cookie2 = NotifyType(rawValue: 16401)
    /// NO_NATS_ALLOWED (RFC 4555).
    public static let noNATsAllowed = NotifyType(rawValue: 16402)
    /// AUTH_LIFETIME (RFC 4478).
    public static let authLifetime = NotifyType(rawValue: 16403)
    /// MULTIPLE_AUTH_SUPPORTED (RFC 4739).
    public static let multipleAuthSupported = NotifyType(rawValue: 16404)
    /// ANOTHER_AUTH_FOLLOWS (RFC 4739).
    public static let anotherAuthFollows = NotifyType(rawValue: 16405)
    /// REDIRECT_SUPPORTED (RFC 5685).
    public static let redirectSupported = NotifyType(rawValue: 16406)
    /// REDIRECT (RFC 5685).
    public static let redirect = NotifyType(rawValue: 16407)
    /// REDIRECTED_FROM (RFC 5685).
    public static let redirectedFrom = NotifyType(rawValue: 16408)
    /// TICKET_REQUEST (RFC 5723).
    public static let ticketRequest = NotifyType(rawValue: 16412)
    /// ROHC_SUPPORTED (RFC 5857).
    public static let rohcSupported = NotifyType(rawValue: 16416)
    /// EAP_ONLY_AUTHENTICATION (RFC 5998).
    public static let eapOnlyAuthentication = NotifyType(rawValue: 16417)
    /// CHILDLESS_IKEV2_SUPPORTED (RFC 6023).
    public static let childlessIKEv2Supported = NotifyType(rawValue: 16418)
    /// QUICK_CRASH_DETECTION (RFC 6290).
    public static let quickCrashDetection = NotifyType(rawValue: 16419)
    /// IKEV2_MESSAGE_ID_SYNC_SUPPORTED (RFC 6311).
    public static let messageIDSyncSupported = NotifyType(rawValue: 16420)
    /// IKEV2_FRAGMENTATION_SUPPORTED (RFC 7383).
    public static let fragmentationSupported = NotifyType(rawValue: 16430)
    /// SIGNATURE_HASH_ALGORITHMS (RFC 7427).
    public static let signatureHashAlgorithms = NotifyType(rawValue: 16431)
    /// CLONE_IKE_SA_SUPPORTED (RFC 7791).
    public static let cloneIKESASupported = NotifyType(rawValue: 16432)
    /// CLONE_IKE_SA (RFC 7791).
    public static let cloneIKESA = NotifyType(rawValue: 16433)
    /// USE_PPK (RFC 8784).
    public static let usePPK = NotifyType(rawValue: 16435)
    /// PPK_IDENTITY (RFC 8784).
    public static let ppkIdentity = NotifyType(rawValue: 16436)
    /// NO_PPK_AUTH (RFC 8784).
    public static let noPPKAuth = NotifyType(rawValue: 16437)
    /// INTERMEDIATE_EXCHANGE_SUPPORTED (RFC 9242).
    public static let intermediateExchangeSupported = NotifyType(rawValue: 16438)
    /// IP4_ALLOWED (RFC 8983).
    public static let ipv4Allowed = NotifyType(rawValue: 16439)
    /// IP6_ALLOWED (RFC 8983).
    public static let ipv6Allowed = NotifyType(rawValue: 16440)
    /// ADDITIONAL_KEY_EXCHANGE (RFC 9370).
    public static let additionalKeyExchange = NotifyType(rawValue: 16441)
    /// USE_AGGFRAG (RFC 9347).
    public static let useAggfrag = NotifyType(rawValue: 16442)
    /// SUPPORTED_AUTH_METHODS (RFC 9593).
    public static let supportedAuthMethods = NotifyType(rawValue: 16443)
    /// SA_RESOURCE_INFO (RFC 9611).
    public static let saResourceInfo = NotifyType(rawValue: 16444)
}

extension NotifyType {
    private static let names: [UInt16: String] = [
        1: "UNSUPPORTED_CRITICAL_PAYLOAD",
        4: "INVALID_IKE_SPI",
        5: "INVALID_MAJOR_VERSION",
        7: "INVALID_SYNTAX",
        9: "INVALID_MESSAGE_ID",
        11: "INVALID_SPI",
        14: "NO_PROPOSAL_CHOSEN",
        17: "INVALID_KE_PAYLOAD",
        24: "AUTHENTICATION_FAILED",
        34: "SINGLE_PAIR_REQUIRED",
        35: "NO_ADDITIONAL_SAS",
        36: "INTERNAL_ADDRESS_FAILURE",
        37: "FAILED_CP_REQUIRED",
        38: "TS_UNACCEPTABLE",
        39: "INVALID_SELECTORS",
        40: "UNACCEPTABLE_ADDRESSES",
        41: "UNEXPECTED_NAT_DETECTED",
        42: "USE_ASSIGNED_HoA",
        43: "TEMPORARY_FAILURE",
        44: "CHILD_SA_NOT_FOUND",
        45: "INVALID_GROUP_ID",
        46: "AUTHORIZATION_FAILED",
        47: "STATE_NOT_FOUND",
        48: "TS_MAX_QUEUE",
        16384: "INITIAL_CONTACT",
        16385: "SET_WINDOW_SIZE",
        16386: "ADDITIONAL_TS_POSSIBLE",
        16387: "IPCOMP_SUPPORTED",
        16388: "NAT_DETECTION_SOURCE_IP",
        16389: "NAT_DETECTION_DESTINATION_IP",
        16390: "COOKIE",
        16391: "USE_TRANSPORT_MODE",
        16392: "HTTP_CERT_LOOKUP_SUPPORTED",
        16393: "REKEY_SA",
        16394: "ESP_TFC_PADDING_NOT_SUPPORTED",
        16395: "NON_FIRST_FRAGMENTS_ALSO",
        16396: "MOBIKE_SUPPORTED",
        16397: "ADDITIONAL_IP4_ADDRESS",
        16398: "ADDITIONAL_IP6_ADDRESS",
        16399: "NO_ADDITIONAL_ADDRESSES",
        16400: "UPDATE_SA_ADDRESSES",
        16401: "COOKIE2",
        16402: "NO_NATS_ALLOWED",
        16403: "AUTH_LIFETIME",
        16404: "MULTIPLE_AUTH_SUPPORTED",
        16405: "ANOTHER_AUTH_FOLLOWS",
        16406: "REDIRECT_SUPPORTED",
        16407: "REDIRECT",
        16408: "REDIRECTED_FROM",
        16412: "TICKET_REQUEST",
        16416: "ROHC_SUPPORTED",
        16417: "EAP_ONLY_AUTHENTICATION",
        16418: "CHILDLESS_IKEV2_SUPPORTED",
        16419: "QUICK_CRASH_DETECTION",
        16420: "IKEV2_MESSAGE_ID_SYNC_SUPPORTED",
        16430: "IKEV2_FRAGMENTATION_SUPPORTED",
        16431: "SIGNATURE_HASH_ALGORITHMS",
        16432: "CLONE_IKE_SA_SUPPORTED",
        16433: "CLONE_IKE_SA",
        16435: "USE_PPK",
        16436: "PPK_IDENTITY",
        16437: "NO_PPK_AUTH",
        16438: "INTERMEDIATE_EXCHANGE_SUPPORTED",
        16439: "IP4_ALLOWED",
        16440: "IP6_ALLOWED",
        16441: "ADDITIONAL_KEY_EXCHANGE",
        16442: "USE_AGGFRAG",
        16443: "SUPPORTED_AUTH_METHODS",
        16444: "SA_RESOURCE_INFO",
    ]
}
