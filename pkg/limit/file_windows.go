package limit

const openFlags = 0
