/* Shows a server the time that a file holds, in microseconds since 1970. Loaded before the C library's own functions.
 *
 * libfaketime was refused: it allocates while jemalloc, with which Debian links Redis, asks for the time to set itself up. */
#include <fcntl.h>
#include <stdlib.h>
#include <sys/time.h>
#include <unistd.h>

int gettimeofday(struct timeval *restrict now, void *restrict zone) {
    (void)zone;
    char text[32] = {0};
    const char *path = getenv("KEYWARD_TEST_CLOCK");
    int file = path ? open(path, O_RDONLY | O_CLOEXEC) : -1;
    if (file >= 0) {
        if (read(file, text, sizeof text - 1) < 0) text[0] = 0;
        close(file);
    }
    long long microseconds = atoll(text);
    now->tv_sec = microseconds / 1000000;
    now->tv_usec = microseconds % 1000000;
    return 0;
}
