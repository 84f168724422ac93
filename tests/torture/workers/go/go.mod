module torture

go 1.19

require shmd v0.0.0

replace shmd => ../../../../client/go
