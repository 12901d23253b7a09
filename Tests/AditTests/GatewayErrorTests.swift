// SPDX-License-Identifier: Apache-2.0
// Adit: AditTests

import AditLinux
import Glibc
import Testing

@testable import Adit

@Suite struct GatewayErrorTests {
    @Test(arguments: [
        (EPERM, GatewayError.Code.permissionDenied), (EACCES, .permissionDenied), (EADDRINUSE, .addressInUse),
        (EADDRNOTAVAIL, .addressUnavailable), (ENOENT, .deviceUnavailable), (EOPNOTSUPP, .unsupported),
        (EIO, .systemCall),
    ])
    func anErrnoBecomesAStableWord(errno: CInt, code: GatewayError.Code) {
        let error = GatewayError(SystemError("open the door", code: errno))
        #expect(error.code == code)
        #expect(error.description.hasPrefix("open the door"))
    }
}
