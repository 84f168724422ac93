"""Reads what readings.cpp produces, from another process that may only read it.

    python3 readings.py KEY
"""

import math
import struct
import sys

import shmd
from shmd import ring

reading = struct.Struct("=Qd")


def main(key):
    count = lost = 0
    highest = -math.inf
    with shmd.Client() as client, client.open(key, wait=math.inf) as segment, ring.Consumer(segment) as consumer:
        for record in consumer:
            lost += record.lost
            if not record.data:
                break
            number, value = reading.unpack(record.data)
            assert number == record.sequence
            highest = max(highest, value)
            count += 1
    print(f"{count} readings, {lost} lost, the highest is {highest:.3f}")


if __name__ == "__main__":
    main(*sys.argv[1:])
