"""Our own parsing code against bytes that a fuzzer makes: ``make fuzz``."""
