/* SPDX-License-Identifier: Apache-2.0 */
/* Macros, variadic calls and ancillary data of the Linux ABI that Swift cannot import: nothing else belongs here. */
#ifndef ADIT_CLINUX_H
#define ADIT_CLINUX_H

#include <errno.h>
#include <linux/filter.h>
#include <linux/if_addr.h>
#include <linux/if_link.h>
#include <linux/if_tun.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <linux/virtio_net.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/uio.h>

/* Newer than the oldest headers that the build supports. */
#ifndef TUN_F_USO4
#define TUN_F_USO4 0x20
#define TUN_F_USO6 0x40
#endif
#ifndef VIRTIO_NET_HDR_GSO_UDP_L4
#define VIRTIO_NET_HDR_GSO_UDP_L4 5
#endif

/* Socket options whose headers clash, as the kernel's ABI fixes them. */
enum {
    adit_udp_segment = 103,
    adit_udp_gro = 104,
    adit_so_attach_reuseport_cbpf = 51,
};

/* errno, which is a macro: Swift's own goes through two libraries. */
static inline int adit_errno(void) { return errno; }

/* TUN ioctls: 0, or -1 with errno. */
int adit_tun_attach(int descriptor, const char *name, int flags, char actual_name[16]);
int adit_tun_is_persistent(int descriptor);
int adit_tun_set_header_size(int descriptor, int size);
int adit_tun_set_little_endian(int descriptor);
int adit_tun_set_offload(int descriptor, unsigned long offload);

/* struct mmsghdr, which needs _GNU_SOURCE. */
struct adit_message {
    struct msghdr header;
    unsigned int length;
};
/* Both make the plain call for one message, which costs the kernel less. */
int adit_recvmmsg(int descriptor, struct adit_message *messages, unsigned int count, int flags);
int adit_sendmmsg(int descriptor, struct adit_message *messages, unsigned int count, int flags);

/* What the ancillary data of a received datagram says. */
struct adit_ancillary {
    int segment_size;      /* of a UDP_GRO run; 0 when there is none */
    int local_family;      /* AF_INET, AF_INET6, or 0 when unknown */
    uint8_t local[16];     /* network order */
    uint8_t traffic_class; /* TOS or traffic class */
};
void adit_read_ancillary(const struct msghdr *message, struct adit_ancillary *out);

/* Room for everything that adit_write_ancillary may put. */
enum { adit_ancillary_room = 128 };
/* Writes control data; segment_size 0, local_family 0 and traffic_class 0 leave their part out. Returns its length. */
size_t adit_write_ancillary(
    void *control, int family, unsigned int segment_size, int local_family, const uint8_t *local,
    unsigned int traffic_class);

/* Binds the calling thread to one processor; 0 or an errno. */
int adit_bind_thread(int processor);
/* Gives the calling thread this nice value, -20 to 19; 0 or an errno. */
int adit_set_thread_nice(int value);
/* Schedules the calling thread as SCHED_BATCH, or as SCHED_OTHER, keeping its nice value; 0 or an errno. */
int adit_set_thread_batch(int is_batch);
/* How many processors this process may use. */
int adit_processor_count(void);
/* Names the calling thread. */
void adit_name_thread(const char *name);

#endif
