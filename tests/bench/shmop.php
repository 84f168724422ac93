<?php
// Opens a segment that is there, reads its first 22 bytes and lets go of it, again and again. Prints nanoseconds, one a line, each the
// mean of 100. The first argument is how many.
$keep = shmop_open(0x62656e63, "c", 0600, 4096);
shmop_write($keep, "my shared memory block", 0);
for ($sample = -20; $sample < (int)$argv[1]; $sample++) {
    $begin = hrtime(true);
    for ($i = 0; $i < 100; $i++) {
        $segment = shmop_open(0x62656e63, "a", 0, 0);
        $text = shmop_read($segment, 0, 22);
        unset($segment);
    }
    if ($sample >= 0) echo intdiv(hrtime(true) - $begin, 100), "\n";
}
