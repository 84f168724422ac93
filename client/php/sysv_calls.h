/* The System V calls that shmop.c stands on. */
#ifndef PHP_SHMD_SYSV_CALLS_H
#define PHP_SHMD_SYSV_CALLS_H

#include <sys/ipc.h>
#include <sys/shm.h>

#define sysv_shmget shmget
#define sysv_shmat shmat
#define sysv_shmdt shmdt
#define sysv_shmctl shmctl

#endif
