/* The sleep protocol of doorbell.h, for spin: no wake-up is ever lost.
 *
 * One publisher and one sleeper; the other pair of a session is the same with
 * the roles exchanged, and shares no variable with this one. Each process has a
 * store buffer, as processors and compilers do: a relaxed or release store goes
 * into it and reaches memory at any later time, in order; a sequentially
 * consistent store waits until the buffer is empty and its own value is in
 * memory. Loads read memory.
 *
 * Variants, each of which must fail, so that the model is known to notice:
 *   -DNO_RECHECK        the sleeper does not look again after announcing
 *   -DRECHECK_FIRST     it looks, and then announces
 *   -DRELEASE_TAIL      B1 is a release store
 *   -DRELAXED_ANNOUNCE  A1 is a relaxed store
 *   -DNO_RING_FOR_ACKS  the publisher rings for frames only
 */
#define FRAMES 1 /* kWakeForFrames */
#define ACKS 2   /* kWakeForAcks */
#define ROUNDS 3 /* publishes */

/* Shared memory. */
byte frames_tail = 0;
byte acks_tail = 0;
byte sleeping = 0;
/* The epoll set: readable. */
bool bell = false;

/* The sleeper's own; global so that the watchdog can look. */
byte frames_head = 0;
byte acks_head = 0;
byte wants = 0;
bool waiting = false;

/* Store buffers: (variable, value) and value. */
chan publisher_stores = [2 * ROUNDS] of { byte, byte };
chan sleeper_stores = [2] of { byte };

#ifdef RELEASE_TAIL
#define STORE_TAIL(which, tail, value) publisher_stores ! which, value
#else
#define STORE_TAIL(which, tail, value) empty(publisher_stores); tail = value
#endif

#ifdef RELAXED_ANNOUNCE
#define ANNOUNCE sleeper_stores ! wants
#else
#define ANNOUNCE empty(sleeper_stores); sleeping = wants
#endif

#define WORK_WAITS \
  (frames_tail != frames_head || ((wants & ACKS) && acks_tail != acks_head))

/* Flush: publishes frames, acknowledgements or both, then looks once. */
active proctype publisher() {
  byte rounds = 0, frames = 0, acks = 0, published;
  do
  :: rounds < ROUNDS ->
    if
    :: published = FRAMES
    :: published = ACKS
    :: published = FRAMES | ACKS
    fi;
    if
    :: published & FRAMES -> frames++; STORE_TAIL(FRAMES, frames_tail, frames)
    :: else
    fi;
    if
    :: published & ACKS -> acks++; STORE_TAIL(ACKS, acks_tail, acks)
    :: else
    fi;
#ifdef NO_RING_FOR_ACKS
    published = published & FRAMES;
#endif
    if /* B2 */
    :: sleeping & published -> bell = true
    :: else
    fi;
    rounds++
  :: else -> break
  od
}

active proctype sleeper() {
  do
  :: frames_head = frames_tail; /* process */
    if
    :: acks_head = acks_tail
    :: skip
    fi;
    if
    :: wants = FRAMES
    :: wants = FRAMES | ACKS
    fi;
#ifdef RECHECK_FIRST
    if
    :: WORK_WAITS -> acks_head = acks_tail
    :: else ->
      ANNOUNCE;
      waiting = true
    fi;
#else
    ANNOUNCE; /* A1 */
    if        /* A2 */
#ifndef NO_RECHECK
    :: WORK_WAITS -> sleeper_stores ! 0; acks_head = acks_tail
#endif
    :: else -> waiting = true
    fi;
#endif
    if
    :: waiting ->
end_asleep:
      atomic { bell -> bell = false };
      waiting = false;
      sleeper_stores ! 0 /* TakeSleepBack is relaxed. */
    :: else
    fi
  od
}

/* What is buffered reaches memory at some time. */
active proctype publisher_buffer() {
  byte which, value;
end_drained:
  do
  :: atomic { publisher_stores ? which, value ->
       if
       :: which == FRAMES -> frames_tail = value
       :: else -> acks_tail = value
       fi }
  od
}

active proctype sleeper_buffer() {
  byte value;
end_drained:
  do
  :: atomic { sleeper_stores ? value -> sleeping = value }
  od
}

/* When nothing can happen any more, nobody sleeps beside work it wants. */
active proctype watchdog() {
  timeout -> assert(!(waiting && WORK_WAITS))
}
