/* SPDX-License-Identifier: Apache-2.0 */
/* Adit: CLinux */
#define _GNU_SOURCE
#include "CLinux.h"

#include <errno.h>
#include <net/if.h>
#include <netinet/in.h>
#include <pthread.h>
#include <sched.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/resource.h>
#include <unistd.h>

_Static_assert(sizeof(struct adit_message) == sizeof(struct mmsghdr), "adit_message is mmsghdr");
_Static_assert(
    CMSG_SPACE(sizeof(uint16_t)) + CMSG_SPACE(sizeof(struct in6_pktinfo)) + CMSG_SPACE(sizeof(int))
        <= adit_ancillary_room, "ancillary room");

int adit_tun_attach(int descriptor, const char *name, int flags, char actual_name[16]) {
    struct ifreq request;
    memset(&request, 0, sizeof request);
    strncpy(request.ifr_name, name, IFNAMSIZ - 1);
    request.ifr_flags = (short)flags;
    if (ioctl(descriptor, TUNSETIFF, &request) < 0) return -1;
    memcpy(actual_name, request.ifr_name, IFNAMSIZ);
    actual_name[IFNAMSIZ - 1] = 0;
    return 0;
}

int adit_tun_is_persistent(int descriptor) {
    struct ifreq request;
    memset(&request, 0, sizeof request);
    if (ioctl(descriptor, TUNGETIFF, &request) < 0) return -1;
    return ((unsigned short)request.ifr_flags & IFF_PERSIST) != 0;
}

int adit_tun_set_header_size(int descriptor, int size) { return ioctl(descriptor, TUNSETVNETHDRSZ, &size); }

int adit_tun_set_little_endian(int descriptor) {
    int on = 1;
    return ioctl(descriptor, TUNSETVNETLE, &on);
}

int adit_tun_set_offload(int descriptor, unsigned long offload) { return ioctl(descriptor, TUNSETOFFLOAD, offload); }

int adit_recvmmsg(int descriptor, struct adit_message *messages, unsigned int count, int flags) {
    if (count != 1) return recvmmsg(descriptor, (struct mmsghdr *)messages, count, flags, NULL);
    ssize_t length = recvmsg(descriptor, &messages->header, flags);
    if (length < 0) return -1;
    messages->length = (unsigned int)length;
    return 1;
}

int adit_sendmmsg(int descriptor, struct adit_message *messages, unsigned int count, int flags) {
    if (count != 1) return sendmmsg(descriptor, (struct mmsghdr *)messages, count, flags);
    ssize_t length = sendmsg(descriptor, &messages->header, flags);
    if (length < 0) return -1;
    messages->length = (unsigned int)length;
    return 1;
}

void adit_read_ancillary(const struct msghdr *message, struct adit_ancillary *out) {
    memset(out, 0, sizeof *out);
    struct msghdr *m = (struct msghdr *)message;
    for (struct cmsghdr *c = CMSG_FIRSTHDR(m); c; c = CMSG_NXTHDR(m, c)) {
        size_t length = c->cmsg_len - CMSG_LEN(0);
        if (c->cmsg_level == IPPROTO_UDP && c->cmsg_type == adit_udp_gro && length >= sizeof(int)) {
            memcpy(&out->segment_size, CMSG_DATA(c), sizeof(int));
        } else if (c->cmsg_level == IPPROTO_IP && c->cmsg_type == IP_PKTINFO && length >= sizeof(struct in_pktinfo)) {
            struct in_pktinfo info;
            memcpy(&info, CMSG_DATA(c), sizeof info);
            out->local_family = AF_INET;
            memcpy(out->local, &info.ipi_spec_dst, 4);
        } else if (c->cmsg_level == IPPROTO_IPV6 && c->cmsg_type == IPV6_PKTINFO
                   && length >= sizeof(struct in6_pktinfo)) {
            struct in6_pktinfo info;
            memcpy(&info, CMSG_DATA(c), sizeof info);
            out->local_family = AF_INET6;
            memcpy(out->local, &info.ipi6_addr, 16);
        } else if (c->cmsg_level == IPPROTO_IP && c->cmsg_type == IP_TOS && length >= 1) {
            out->traffic_class = *CMSG_DATA(c);
        } else if (c->cmsg_level == IPPROTO_IPV6 && c->cmsg_type == IPV6_TCLASS && length >= sizeof(int)) {
            int value;
            memcpy(&value, CMSG_DATA(c), sizeof value);
            out->traffic_class = (uint8_t)value;
        }
    }
}

static size_t put(uint8_t *at, int level, int type, const void *data, size_t length) {
    memset(at, 0, CMSG_SPACE(length));
    struct cmsghdr *c = (struct cmsghdr *)at;
    c->cmsg_level = level;
    c->cmsg_type = type;
    c->cmsg_len = CMSG_LEN(length);
    memcpy(CMSG_DATA(c), data, length);
    return CMSG_SPACE(length);
}

size_t adit_write_ancillary(
    void *control, int family, unsigned int segment_size, int local_family, const uint8_t *local,
    unsigned int traffic_class) {
    uint8_t *at = control;
    if (segment_size) {
        uint16_t value = (uint16_t)segment_size;
        at += put(at, IPPROTO_UDP, adit_udp_segment, &value, sizeof value);
    }
    if (local_family == AF_INET) {
        struct in_pktinfo info;
        memset(&info, 0, sizeof info);
        memcpy(&info.ipi_spec_dst, local, 4);
        at += put(at, IPPROTO_IP, IP_PKTINFO, &info, sizeof info);
    } else if (local_family == AF_INET6) {
        struct in6_pktinfo info;
        memset(&info, 0, sizeof info);
        memcpy(&info.ipi6_addr, local, 16);
        at += put(at, IPPROTO_IPV6, IPV6_PKTINFO, &info, sizeof info);
    }
    if (traffic_class) {
        int value = (int)traffic_class;
        int v6 = family == AF_INET6;
        at += put(at, v6 ? IPPROTO_IPV6 : IPPROTO_IP, v6 ? IPV6_TCLASS : IP_TOS, &value, sizeof value);
    }
    return (size_t)(at - (uint8_t *)control);
}

int adit_bind_thread(int processor) {
    if (processor < 0 || processor >= CPU_SETSIZE) return EINVAL;
    cpu_set_t set;
    CPU_ZERO(&set);
    CPU_SET(processor, &set);
    return pthread_setaffinity_np(pthread_self(), sizeof set, &set);
}

int adit_set_thread_nice(int value) {
    /* Linux has a nice value for each thread, and 0 is the calling one. */
    return setpriority(PRIO_PROCESS, 0, value) < 0 ? errno : 0;
}

int adit_set_thread_batch(int is_batch) {
    struct sched_param none = {0};
    return sched_setscheduler(0, is_batch ? SCHED_BATCH : SCHED_OTHER, &none) < 0 ? errno : 0;
}

int adit_processor_count(void) {
    cpu_set_t set;
    CPU_ZERO(&set);
    if (sched_getaffinity(0, sizeof set, &set) < 0) return 1;
    int count = CPU_COUNT(&set);
    return count > 0 ? count : 1;
}

void adit_name_thread(const char *name) { pthread_setname_np(pthread_self(), name); }
