// SPDX-License-Identifier: Apache-2.0
// Adit: Fuzz

import FuzzDriver
import FuzzSubjects

fuzz(.netlink)
