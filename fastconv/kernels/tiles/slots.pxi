# What threads share: workspace and marks.  For as long as an item lasts, a thread holds a slot of
# the workspace alone.  A mark may be set by several threads at once.

cdef extern from *:
    """
    /* Take a slot that no other thread holds; there are as many slots as threads. */
    static int fc_take_slot(int *slots) {
    #if defined(__GNUC__) || defined(__clang__)
        for (int i = 0;; i++) {
            if (__atomic_exchange_n(&slots[i], 1, __ATOMIC_ACQUIRE) == 0) return i;
        }
    #else
        return 0;  /* built without threads */
    #endif
    }
    static void fc_free_slot(int *slots, int i) {
    #if defined(__GNUC__) || defined(__clang__)
        __atomic_store_n(&slots[i], 0, __ATOMIC_RELEASE);
    #endif
    }
    enum { FC_SLOTS = 256 };
    static void fc_mark(unsigned char *mark) {
    #if defined(__GNUC__) || defined(__clang__)
        __atomic_store_n(mark, 1, __ATOMIC_RELAXED);
    #else
        *mark = 1;
    #endif
    }
    """
    int fc_take_slot(int*) noexcept nogil
    void fc_free_slot(int*, int) noexcept nogil
    enum: FC_SLOTS
    void fc_mark(unsigned char*) noexcept nogil
