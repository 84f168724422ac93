/* Prints the text that shmop.php has left at its key, and deletes the segment: System V calls that know nothing of shmd. */
#include <stdio.h>
#include <sys/shm.h>

int main(void) {
    int id = shmget(0xff3, 0, 0);
    const char *text = id < 0 ? (const char *)-1 : shmat(id, NULL, SHM_RDONLY);
    if (text == (const char *)-1) {
        perror("0xff3");
        return 1;
    }
    printf("C reads: %s\n", text);
    if (shmctl(id, IPC_RMID, NULL) != 0 || shmdt(text) != 0) {
        perror("0xff3");
        return 1;
    }
    return 0;
}
