module shmd

go 1.19
