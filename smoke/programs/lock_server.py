"""A FUSE file system with one directory and files without content, whose flock misbehaves. Needs root and /dev/fuse.

Arguments: the mount point, the type (such as fuse.test), and what an exclusive flock does: hang, overlap or refuse.
Speaks the kernel's protocol itself: a library would answer a flock by its own rules.
"""

import ctypes
import errno
import os
import struct
import sys

POINT, KIND, CONDUCT = sys.argv[1:]
LOOKUP, FORGET, GETATTR, UNLINK, OPEN, STATFS, RELEASE, FLUSH, INIT = 1, 2, 3, 10, 14, 17, 18, 25, 26
OPENDIR, READDIR, RELEASEDIR, SETLK, SETLKW, CREATE, INTERRUPT, BATCH_FORGET = 27, 28, 29, 32, 33, 35, 36, 42
FLOCK_LOCKS = 1 << 10
UNLOCK = 2
ROOT = 1

device = os.open("/dev/fuse", os.O_RDWR | os.O_CLOEXEC)
libc = ctypes.CDLL(None, use_errno=True)
options = f"fd={device},rootmode=40700,user_id={os.getuid()},group_id={os.getgid()}"
if libc.mount(b"lock_server", os.fsencode(POINT), KIND.encode(), 0, options.encode()):
    sys.exit(f"mount: {os.strerror(ctypes.get_errno())}")


def attributes(node):
    mode = 0o40700 if node == ROOT else 0o100600
    return struct.pack("<6Q10I", node, 0, 0, 0, 0, 0, 0, 0, 0, mode, 1, os.getuid(), os.getgid(), 0, 4096, 0)


def entry(node):
    return struct.pack("<4Q2I", node, 0, 0, 0, 0, 0) + attributes(node)


OPENED = struct.pack("<QII", 1, 0, 0)
files = {}


def answer(opcode, node, body):
    """The answer, or None for none at all; a number is an errno."""
    if opcode == INIT:
        return struct.pack("<4I2H2I2HI7I", 7, 31, 65536, FLOCK_LOCKS, 12, 9, 65536, 1, 0, 0, 0, *[0] * 7)
    if opcode in (FORGET, BATCH_FORGET, INTERRUPT):
        return None
    if opcode == GETATTR:
        return struct.pack("<QII", 0, 0, 0) + attributes(node)
    if opcode == LOOKUP:
        node = files.get(body.rstrip(b"\0"))
        return entry(node) if node else errno.ENOENT
    if opcode in (OPEN, OPENDIR):
        return OPENED
    if opcode == CREATE:
        name = body[16:].rstrip(b"\0")
        files[name] = 2 + len(files)
        return entry(files[name]) + OPENED
    if opcode == UNLINK:
        files.pop(body.rstrip(b"\0"), None)
        return b""
    if opcode in (SETLK, SETLKW):
        kind = struct.unpack_from("<4QI", body)[4]
        if kind != UNLOCK and CONDUCT == "hang":
            return None
        return errno.ENOLCK if CONDUCT == "refuse" else b""
    if opcode == STATFS:
        return struct.pack("<5Q4I6I", *[1 << 20] * 5, 4096, 255, 4096, 0, *[0] * 6)
    if opcode in (RELEASE, RELEASEDIR, FLUSH, READDIR):
        return b""
    return errno.ENOSYS


while True:
    try:
        request = os.read(device, 1 << 18)
    except OSError as error:
        sys.exit(0 if error.errno == errno.ENODEV else str(error))
    _, opcode, unique, node = struct.unpack_from("<IIQQ", request)
    said = answer(opcode, node, request[40:])
    if said is not None:
        code, said = (-said, b"") if isinstance(said, int) else (0, said)
        os.write(device, struct.pack("<IiQ", 16 + len(said), code, unique) + said)
