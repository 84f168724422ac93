#include <errno.h>
#include <shmd/shmd.h>
#include <stdio.h>
#include <string.h>

int main(int argc, char **argv) {
    shmd_client *client = NULL;
    if (argc != 2 || strcmp(shmd_version(), argv[1]) != 0) return 1;
    if (shmd_connect("/nonexistent/io.shmd.Segments", &client) != -ECONNREFUSED || client) return 2;
    puts(shmd_last_error()->message);
    return strstr(shmd_last_error()->message, "/nonexistent/io.shmd.Segments") ? 0 : 3;
}
