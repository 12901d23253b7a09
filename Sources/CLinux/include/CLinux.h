/* SPDX-License-Identifier: Apache-2.0 */
/* Macros and variadic calls of the Linux ABI that Swift cannot import: nothing else belongs here. */
#ifndef ADIT_CLINUX_H
#define ADIT_CLINUX_H
#endif
