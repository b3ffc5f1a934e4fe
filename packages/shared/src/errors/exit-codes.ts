/** Exit codes after BSD's sysexits.h, as service managers and people know them. */
export const EXIT_OK = 0;
export const EXIT_FAILURE = 1;
/** Of commands that look for faults: nothing failed, but something should be looked at. */
export const EXIT_WARNING = 2;
export const EXIT_USAGE = 64;
export const EXIT_CONFIG = 78;
