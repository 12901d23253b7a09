// SPDX-License-Identifier: Apache-2.0
// Adit: AditPKITests

/// Private keys made with the openssl command for these tests.
enum TestKeys {
    static let root = """
        -----BEGIN PRIVATE KEY-----
        MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQgfI3a1MLAZsr2Q6lU
        YfYxhfXbNy1oNBHW7GpvisFRnJihRANCAARwwK/d9K8A7ILUzy5psRyUQtU4oys4
        wXvC7zv/yVYoV5yvMEBnJN+EqPBrRgc/7lhZIWd9oSNbUewFdiXJOjD9
        -----END PRIVATE KEY-----
        """

    static let intermediate = """
        -----BEGIN PRIVATE KEY-----
        MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQgunMTq8fS5kYw2RQ9
        GHZsJ4tcMf0FJptA7MSMxnAQP0ehRANCAATYm6f9xnKJgUq1PNcvLq4bNRVz+LdC
        uaHpmVfKjOwSXoCFGRWO91tSMJf99oDVC+C9cSTL8ts9YSMgU1pggSPw
        -----END PRIVATE KEY-----
        """

    static let alice = """
        -----BEGIN PRIVATE KEY-----
        MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQgo8KAqLvPYEAcK5us
        1wivgReLLCy+FaFofBPH2GmPreGhRANCAAR0BWQm2hBTF6weXqkuR0hiRjsYsdIM
        Sz9vXkCXF63NZul55c9veAv0oXuEg/T7yA198pbwd7kzCULVowJM7t3u
        -----END PRIVATE KEY-----
        """

    static let bob = """
        -----BEGIN PRIVATE KEY-----
        MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQgbJXsNYS+p0zNHeaE
        IY7RK3wEkmG3IUHe2hb8jPg5jmmhRANCAATYxjmm3x71gd7r48ADxDr/cOJu4IGx
        MIeD1bxwg7fiG7YF/yBLq2W78Ik6TwY2kInoSMJwulCiFv7aWZ2HHGXn
        -----END PRIVATE KEY-----
        """

    static let mallory = """
        -----BEGIN PRIVATE KEY-----
        MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQgONCFgoVhl1kyPCI2
        4DLUNY/6WsexiAN9YOzyrRILCBehRANCAASNY8bDaKOxbgkEb9RO2mzvNRcTnIjK
        HNCM2uu3WRgMFrVxjv7K/dCnJqf3IRq5mEbEM6EIgkG1zQmRtVafQ/4h
        -----END PRIVATE KEY-----
        """

    static let rsa2048 = """
        -----BEGIN PRIVATE KEY-----
        MIIEvQIBADANBgkqhkiG9w0BAQEFAASCBKcwggSjAgEAAoIBAQC0NLo5wT2+L0KD
        SlY+kIXZCx4Qn2wl+XBSavpHzVbYvwLmKKJ6vzXl5WoJWqZUL8heObwvyTwco7m2
        AL9QMrqJ7JNg0yYdDmY1Wl3I9t/MlvaNa4GJFudNclI7EfZZoOE7oLHiEUiOG0bl
        MWSoIOAc80Thl35r9odLc0AyeUr/SDku6FBE7n0c7shLb0Az+34JGozVTNofIBae
        tq0YkmOtf3Ac+9vJy698PMR5J7RSkpl4SemdY+9cd3phogv7xAG2ftPXTDqNvGjL
        UerKq9w479B8XrH6GuSoHc/M0Mh0qNHvzf38MoakD5xr1LicGttrr/EwzdGktCJ8
        Vu5OIwHvAgMBAAECggEAE9EklYtZpdt+nf+DwneUMI0Xbk6JzxdCMd4PzeuX3FgN
        EpBvZb43SCPVaFfuqJ1klHAW8M5ZbPDYUFp+r2wUtWwtvN0beOCHfuCEJcB4VgBX
        9q9W3GOHZi3nOxW7mJmniy4dwbWS3AXF4xhucErFOonKDmDhhy/iKvrumV5bT/1K
        1DBhCqdvf0XlL8pNUYDjZduNqJxniSGiXhmW2jk2rNbOJlYxXZBePNht07eI4u3Z
        JrSYQE1E/7QVe6oRNPxuxIHEIRcgR+REuJMFbF/GywqoGGnCzBZFT54TrMwACyR8
        Imu+L9k6DVD+hIZs6he1pjznYHsQI6AN5HGOqCAkcQKBgQDrbM5FtS2L9EXmVNDR
        nptwp376irQo+1GswOLc707mPZ6NgTwLULQ7cJzeXM/Hzk557G8WW1smSp8GihUA
        kaEY8/kUSSG+bHPFbwvK0cqUehRatycXYnuAdDaBnoNaAK5S/4inwqK7vYBzyS9Q
        R59mQxraoPL6NTgPnt/oVqffhwKBgQDD9H+ooP/8iTEf/oXP4epo/7+/wKFsx0Sc
        GkkkCHCa8//lO15a8U3g6OWaTb2HMbmEcR3RxQ2I2UHxfSFii7dubXdW83Z8l1YL
        FmCx182GTfSao4NKrOW1epObg733vJmn3LP/rLTGA9OvRu7QWkkZFwPtajjzQm/o
        OOFMc6JUWQKBgQCl0lij7s5rAp5tcxY2X6Iawk+FB0eIiiRoKuBgP8ryDzrrbrit
        O6YHK/XCBdtwX9cUt70zIRvdp7fFMmNCqFCxM78gU7aJ2vfce6/xpr0qwaYuk0zc
        gsh8nN57g/v+2/XtjgFiMIzQ8dRVOcKyqBAVRnTWw4EBTZT0I7KQguDxZwKBgHC2
        tauImFZpj6FIpS2zVEN7QI+KvQ+1+0gTcpjQZf0rdrkjkh2biWFidZdxOiCGwKBm
        9HER+LwLw/ulL0vg8+0H+EpClpgJ8MtF3u7NJAIp2xYMEdwlYagmzrr4Z5AVowjE
        UaEydXUlBGFg2sNr+3n8HB03KXT7dSVNeoKgTPJZAoGANdjCJvVz0GLPo9F7Cf+R
        2GX0TVC3AHROO/yO5CNfKWRlPUkwnALaroyV8nK6FYtpx5p7sPQf8LU7VJAmxjtW
        iteqAAaDYQkEAbXezataJfTuZwR3tXl4qoY/i910hlIll5OX+H0SOCBuyiGFrlno
        76HCQOQ5Q4AZMmaUDrAZ7pk=
        -----END PRIVATE KEY-----
        """

    static let ed25519 = """
        -----BEGIN PRIVATE KEY-----
        MC4CAQAwBQYDK2VwBCIEIDxh4gdVBAjGjFqLp9PfzMntwrhaWPiORsm7X02GqzmW
        -----END PRIVATE KEY-----
        """

    static let ecdsa384 = """
        -----BEGIN PRIVATE KEY-----
        MIG2AgEAMBAGByqGSM49AgEGBSuBBAAiBIGeMIGbAgEBBDASb/VP1OAsfrkmepP9
        FU46aqjCUEpIm0ygBwC+mY+6TPdNI/L5pEkHrkvuHRqmNS6hZANiAATZzeykR88t
        Ng1mrleVRvL0e1TVr9zTqrLvT7gLrgcFE6soGPiCgVeKPPkAr+9MHoYbomLh6xne
        sYSrKd5pukR+ZNDZWGH+tfKiLsTjxG5c8T2OxLo9qPZyxGW72r+QRtU=
        -----END PRIVATE KEY-----
        """

    static let ecdsa521 = """
        -----BEGIN PRIVATE KEY-----
        MIHuAgEAMBAGByqGSM49AgEGBSuBBAAjBIHWMIHTAgEBBEIA0zZFVgbu1mNpZtkY
        P8gFiknRIcB/rVROWW6oUxmrdrEiPd4/IVeC0678DWY6CdmjqsZDWlw19vCnCUlZ
        I1nao1GhgYkDgYYABAC3p1v77W9NJeF4L5J9b1gL9CEc0NGBQkhNpKU+gH1T13Cr
        PKxqDy5N1alFpTd/c45SVpF1cManTBdoFk208XZb1gFnzosnaOU9loKfgEDukFF5
        Sktwi96ZieRnNVmx9wU+xZRP/zHDDnEGBJ0DRa9C/p09FfQDIx+ayjJXQ/2pyrmW
        Gg==
        -----END PRIVATE KEY-----
        """
}
