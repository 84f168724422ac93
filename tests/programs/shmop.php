<?php
// The example of the PHP manual's page on shmop: create 100 bytes at 0xff3, write, read, delete.
$shm_id = shmop_open(0xff3, "c", 0644, 100);
if (!$shm_id) {
    echo "Couldn't create shared memory segment\n";
    exit(1);
}

$shm_size = shmop_size($shm_id);
echo "SHM Block Size: " . $shm_size . " has been created.\n";

$shm_bytes_written = shmop_write($shm_id, "my shared memory block", 0);
if ($shm_bytes_written != strlen("my shared memory block")) {
    echo "Couldn't write the entire length of data\n";
}

$my_string = shmop_read($shm_id, 0, $shm_size);
if (!$my_string) {
    echo "Couldn't read from shared memory block\n";
}
echo "The data inside shared memory was: " . rtrim($my_string, "\0") . "\n";

if (getenv("KEEP")) {
    exit(0);
}
if (!shmop_delete($shm_id)) {
    echo "Couldn't mark shared memory block for deletion.";
}
