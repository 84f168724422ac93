package shmd_test

func help(work string) int { return 2 }
