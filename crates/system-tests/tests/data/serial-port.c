/* Preloaded into gpsd by tests/refclock.rs: lets it take a pseudo-terminal for a serial port whose
 * carrier line is raised for a tenth of a second at every full second of the system clock, as
 * receivers do. On a pseudo-terminal gpsd tells nobody the time. */

#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdarg.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <time.h>

/* Numbers of devices (Documentation/admin-guide/devices.txt of Linux). */
#define PSEUDO_TERMINALS 136
#define TERMINALS 4
#define FIRST_SERIAL_PORT 64

#define PULSE_NS 100000000

static int carrier;

static int wait_for_an_edge(void)
{
	struct timespec edge;

	clock_gettime(CLOCK_REALTIME, &edge);
	if (carrier) {
		edge.tv_nsec = PULSE_NS;
	} else {
		edge.tv_sec++;
		edge.tv_nsec = 0;
	}
	clock_nanosleep(CLOCK_REALTIME, TIMER_ABSTIME, &edge, NULL);
	carrier = !carrier;
	return 0;
}

int ioctl(int fd, unsigned long request, ...)
{
	int (*real)(int, unsigned long, ...) = dlsym(RTLD_NEXT, "ioctl");
	va_list arguments;
	void *argument;

	va_start(arguments, request);
	argument = va_arg(arguments, void *);
	va_end(arguments);
	if (request == TIOCMIWAIT)
		return wait_for_an_edge();
	if (request == TIOCMGET) {
		*(int *)argument = carrier ? TIOCM_CD : 0;
		return 0;
	}
	return real(fd, request, argument);
}

int stat(const char *path, struct stat *status)
{
	int (*real)(const char *, struct stat *) = dlsym(RTLD_NEXT, "stat");
	int result = real(path, status);

	if (result == 0 && S_ISCHR(status->st_mode) && major(status->st_rdev) == PSEUDO_TERMINALS)
		status->st_rdev = makedev(TERMINALS, FIRST_SERIAL_PORT);
	return result;
}
